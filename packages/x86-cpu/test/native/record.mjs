// Records what the host's own processor does with cases of every form that user mode can execute or fault on, in 64-bit code into recording.jsonl and in
// 32-bit code into recording-32.jsonl. Needs Linux on x86-64 with FSGSBASE, a C compiler and a built package: node packages/x86-cpu/test/native/record.mjs [seed [64|32]]
import { Op } from '../../dist/decode/index.js';
import { enumerateForms32, enumerateInvalid32, makeCase32 } from './cases-32.mjs';
import { makeCase, makeCutOff, makeInvalid, makeLong } from './cases.mjs';
import { enumerateForms, enumerateInvalid } from './forms.mjs';
import { record } from './harness.mjs';
import { Random } from './random.mjs';

const SEED = Number(process.argv[2] ?? 1);
const ONLY = process.argv[3];
const TRIES = 60;

/** As many cases of a form as it has, in no more than so many tries for each. */
function casesOf(form, make) {
  const cases = [];
  for (let tries = 0; cases.length < form.weight && tries < TRIES; tries++) {
    const one = make(cases.length);
    if (one !== undefined) cases.push(one);
  }
  return cases;
}

/** All cases by form, in the order of the opcode map. */
function makeForms() {
  const random = new Random(SEED);
  const groups = [];
  for (const form of enumerateForms()) {
    const cases = casesOf(form, (index) => makeCase(form, random, index));
    if (cases.length > 0) groups.push({ name: form.name, cases });
  }
  for (const { name, bytes } of enumerateInvalid()) groups.push({ name, cases: [makeInvalid(bytes, random)] });
  for (const missing of [1, 2, 3, 4]) {
    const cases = [...enumerateForms()].filter(({ row }) => random.once(row.op === Op.Ud0 || row.op === Op.Ud1 ? 8 : 120)).map((form) => makeCutOff(form, random, missing));
    groups.push({ name: `cut off by the end of the page, ${missing}`, cases: cases.filter((one) => one !== undefined) });
  }
  for (const length of [13, 14, 15, 16]) groups.push({ name: `${length} bytes`, cases: [0, 1, 2].map(() => makeLong(random, length)) });
  return groups;
}

/** The same of 32-bit code. */
function makeForms32() {
  const random = new Random(SEED);
  const groups = [];
  for (const form of enumerateForms32()) {
    const cases = casesOf(form, () => makeCase32(form, random));
    if (cases.length > 0) groups.push({ name: form.name, cases });
  }
  for (const { name, bytes } of enumerateInvalid32()) groups.push({ name, cases: [makeInvalid(bytes, random)] });
  return groups;
}

if (ONLY !== '32') record(makeForms(), 64, SEED, 'recording.jsonl');
if (ONLY !== '64') record(makeForms32(), 32, SEED, 'recording-32.jsonl');

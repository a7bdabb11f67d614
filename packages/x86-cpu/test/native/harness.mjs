// Runs cases on the host's own processor, and says what became of them as README.md describes a line.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Op } from '../../dist/decode/index.js';
import { CODE, PAGE } from './address-space.mjs';
import { defaultRegister } from './cases.mjs';

export const HERE = fileURLToPath(new URL('.', import.meta.url));
const INPUT_SIZE = 16 * 8 + 4 * 8 + 8 + 16 + 2 * 72;
const OUTPUT_SIZE = 16 * 8 + 7 * 8 + 4 * 4 + 8;
const [BREAKPOINT, OVERFLOW, PAGE_FAULT] = [3, 4, 14];
const NO_VECTOR = -1;

/** What differs between widths of code: registers, DS ES FS GS before a case. In 32-bit code nothing of the program may lie in the first 4 GiB. */
const WIDTHS = {
  64: { registers: 16, mask: (1n << 64n) - 1n, selectors: [0, 0, 0, 0], link: ['-static', '-no-pie'], arguments: [] },
  32: { registers: 8, mask: 0xffff_ffffn, selectors: [0x2b, 0x2b, 0, 0], link: ['-static-pie', '-fPIE'], arguments: ['32'] },
};

function execute(cases, width) {
  const folder = mkdtempSync(join(tmpdir(), 'native-'));
  try {
    const [program, input, output] = ['execute', 'in', 'out'].map((name) => join(folder, name));
    execFileSync('cc', ['-O1', '-mfsgsbase', '-mno-red-zone', '-fno-stack-protector', ...width.link, '-o', program, join(HERE, 'execute.c')]);
    const buffer = Buffer.alloc(INPUT_SIZE * cases.length);
    cases.forEach(({ code, set, flags, rip, fsBase, gsBase, patches }, i) => {
      const at = i * INPUT_SIZE;
      for (let register = 0; register < 16; register++) buffer.writeBigUInt64LE((set.get(register) ?? defaultRegister(register)) & width.mask, at + 8 * register);
      [flags, rip, fsBase, gsBase].forEach((value, k) => buffer.writeBigUInt64LE(value, at + 128 + 8 * k));
      buffer.writeUInt32LE(code.length, at + 160);
      buffer.writeUInt32LE(patches.length, at + 164);
      buffer.set(code, at + 168);
      patches.forEach(({ offset, bytes }, k) => {
        buffer.writeUInt32LE(offset, at + 184 + 72 * k);
        buffer.writeUInt32LE(bytes.length, at + 188 + 72 * k);
        buffer.set(bytes, at + 192 + 72 * k);
      });
    });
    writeFileSync(input, buffer);
    execFileSync(program, [input, output, ...width.arguments], { timeout: 60_000 });
    return readFileSync(output);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const hex = (number) => number.toString(16);

/** A case and its outcome, as README.md describes a line. */
function describe({ op, code, set, flags, rip, fsBase, gsBase, patches }, output, at, width) {
  const word = (k) => output.readBigUInt64LE(at + 128 + 8 * k);
  const [flagsAfter, ripThen, vectorThen, errorCode, cr2, fsBaseAfter, gsBaseAfter] = [0, 1, 2, 3, 4, 5, 6].map(word);
  let vector = Number(vectorThen);
  let ripAfter = ripThen & width.mask;
  const more = {};
  if (vector === BREAKPOINT) {
    // INT3 is a trap; the recording has the address of the instruction, or of the INT3 behind it.
    const own = op === Op.Int3;
    ripAfter -= own ? BigInt(code.length) : 1n;
    if (!own) vector = NO_VECTOR;
  } else if (vector === OVERFLOW) ripAfter -= BigInt(code.length);
  else if (vector === PAGE_FAULT && cr2 === ripAfter && ripAfter !== rip) vector = NO_VECTOR;
  if (vector !== NO_VECTOR) {
    more.fault = [vector];
    if (vector > 6) more.fault.push(Number(errorCode));
    if (vector === PAGE_FAULT) more.fault.push(hex(cr2));
  }
  const expectedRip = vector === NO_VECTOR ? rip + BigInt(code.length) : rip;
  if (ripAfter !== expectedRip) more.rip = hex(ripAfter);
  if (rip !== CODE + PAGE / 2n) more.at = hex(rip);
  if (patches.length > 0) more.patch = patches.flatMap(({ offset, bytes }) => [offset, Buffer.from(bytes).toString('hex')]);
  if (fsBase !== 0n || fsBaseAfter !== 0n) more.fs = [hex(fsBase), hex(fsBaseAfter)];
  if (gsBase !== 0n || gsBaseAfter !== 0n) more.gs = [hex(gsBase), hex(gsBaseAfter)];
  const selectors = [0, 1, 2, 3].map((k) => output.readUInt32LE(at + 184 + 4 * k));
  if (selectors.some((selector, k) => selector !== width.selectors[k])) more.selectors = selectors;
  const length = output.readUInt32LE(at + 204);
  if (length > 0) more.memory = [output.readUInt32LE(at + 200), output.subarray(at + OUTPUT_SIZE, at + OUTPUT_SIZE + length).toString('hex')];
  const registers = {};
  for (let register = 0; register < width.registers; register++) {
    const after = output.readBigUInt64LE(at + 8 * register) & width.mask;
    if (after !== (set.get(register) ?? defaultRegister(register) & width.mask)) registers[register] = hex(after);
  }
  const before = Object.fromEntries([...set].map(([register, value]) => [register, hex(value)]));
  const line = [Buffer.from(code).toString('hex'), before, hex(flags), registers, hex(flagsAfter & ~0x1_0000n)];
  if (Object.keys(more).length > 0) line.push(more);
  return { line: JSON.stringify(line), next: at + OUTPUT_SIZE + length };
}

function processorOf() {
  const text = readFileSync('/proc/cpuinfo', 'utf8');
  const field = (name) => new RegExp(`^${name}\\s*: (.*)$`, 'm').exec(text)[1];
  return { name: field('model name'), family: Number(field('cpu family')), model: Number(field('model')), stepping: Number(field('stepping')) };
}

/** Runs groups of cases as code of a width, and writes the recording. */
export function record(groups, bits, seed, file) {
  const width = WIDTHS[bits];
  const output = execute(groups.flatMap(({ cases }) => cases), width);
  const lines = [];
  let at = 0;
  let count = 0;
  for (const { name, cases } of groups) {
    lines.push(JSON.stringify(name));
    for (const one of cases) {
      const { line, next } = describe(one, output, at, width);
      lines.push(line);
      at = next;
      count++;
    }
  }
  if (at !== output.length) throw new Error('the harness stopped early');
  const manifest = { processor: processorOf(), seed, forms: groups.length, cases: count };
  writeFileSync(join(HERE, file), `${JSON.stringify(manifest)}\n${lines.join('\n')}\n`);
  process.stdout.write(`${JSON.stringify(manifest)}\n`);
}

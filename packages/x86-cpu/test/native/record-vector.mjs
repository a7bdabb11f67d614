// Records vector, x87 and BMI instructions on this machine's processor: node packages/x86-cpu/test/native/record-vector.mjs
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { BMI_CASES, bmiCase, bmiForms } from './bmi-cases.mjs';
import { STATE_BYTES, casesOf, vectorCase, vectorForms } from './vector-cases.mjs';
import { X87_CASES, x87Case, x87Forms } from './x87-cases.mjs';

const here = (name) => fileURLToPath(new URL(name, import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'record-vector-'));
try {
  const program = join(folder, 'execute');
  execFileSync('gcc', ['-O1', '-Wall', '-Wextra', '-Werror', '-mno-sse3', '-o', program, here('./execute-vector.c')], { stdio: 'inherit' });
  record(program, 'recording-vector.jsonl', [...vectorForms()], casesOf, vectorCase);
  record(program, 'recording-bmi.jsonl', [...bmiForms()], () => BMI_CASES, bmiCase);
  record(program, 'recording-x87.jsonl', [...x87Forms()], () => X87_CASES, x87Case);
} finally {
  rmSync(folder, { recursive: true });
}

function record(program, file, forms, casesOfForm, makeCase) {
  const inputs = forms.flatMap((form) => Array.from({ length: casesOfForm(form) }, (_, i) => makeCase(form, i)));
  const INPUT_BYTES = 24 + STATE_BYTES;
  const bytes = new Uint8Array(inputs.length * INPUT_BYTES);
  inputs.forEach(({ code, state }, i) => {
    new DataView(bytes.buffer).setUint32(i * INPUT_BYTES, code.length, true);
    bytes.set(code, i * INPUT_BYTES + 4);
    bytes.set(state, i * INPUT_BYTES + 24);
  });
  writeFileSync(join(folder, 'in'), bytes);
  execFileSync(program, [join(folder, 'in'), join(folder, 'out')], { stdio: 'inherit' });
  const results = new Uint8Array(readFileSync(join(folder, 'out')));
  if (results.length !== inputs.length * STATE_BYTES) throw new Error(`${results.length} bytes came back for ${inputs.length} cases`);

  const lines = [];
  let i = 0;
  for (const form of forms) {
    lines.push(JSON.stringify(form.name));
    for (let number = 0; number < casesOfForm(form); number++, i++) lines.push(JSON.stringify(changes(inputs[i].state, results.subarray(i * STATE_BYTES, (i + 1) * STATE_BYTES))));
  }
  const information = readFileSync('/proc/cpuinfo', 'utf8');
  const field = (name) => new RegExp(`^${name}\\s*: (.*)$`, 'm').exec(information)[1];
  const manifest = { processor: { name: field('model name'), family: Number(field('cpu family')), model: Number(field('model')), stepping: Number(field('stepping')) }, forms: forms.length, cases: inputs.length };
  writeFileSync(here(`./${file}`), `${[JSON.stringify(manifest), ...lines].join('\n')}\n`);
  console.log(`${file}: ${forms.length} forms, ${inputs.length} cases`);
}

/** Runs of bytes that differ: offset and hexadecimal, in turn. */
function changes(before, after) {
  const runs = [];
  for (let at = 0; at < before.length; ) {
    if (before[at] === after[at]) {
      at++;
      continue;
    }
    let end = at + 1;
    for (let same = 0; end < before.length && same < 4; end++) same = before[end] === after[end] ? same + 1 : 0;
    while (before[end - 1] === after[end - 1]) end--;
    runs.push(at, Buffer.from(after.subarray(at, end)).toString('hex'));
    at = end;
  }
  return runs;
}

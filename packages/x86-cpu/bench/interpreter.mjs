/**
 * Guest instructions a second of the interpreter on a loop over registers and memory, with paging, intercepts and exact
 * stops on. Run after a build: node packages/x86-cpu/bench/interpreter.mjs; with `--json` the MIPS of each round are all that it prints.
 */
import { createMachineMemory, createProcessor, stateLayout, Stop } from '../dist/index.js';

/** gcc -O2 of a xorshift generator that reads and changes a table of 1024 words: RDI table, RSI iterations. */
const LOOP = '4989f84989f14885f6747548be447abfcb8d40390131ff31c90f1f80000000004889f248c1e20d4831f24889d048c1e8074831d04889c648c1e6114831c625ff030000488d14c500000000490134104829c281e2ff030000498b04d04831f84801c14889c848d1c8f6c101480f45c84883c7014939f975a84889c8c30f1f400031c94889c8c3';

const memory = createMachineMemory({ contexts: 1, ramBytes: 16 << 20, permissionTables: 1, hostPages: 1 });
const clock = { ticks: () => processor.retired };
const processor = createProcessor(memory, { index: 0, permissionTable: 0, vendor: 'intel', clock });
const CODE = 0x200000;
const TABLE = 0x300000;
const STACK = 0x400000;

// Identity map of the first GiB by 2 MiB pages; code ends in HLT through the return address.
memory.writeRam32(0x1000, 0x2003);
memory.writeRam32(0x2000, 0x3003);
for (let i = 0; i < 512; i++) memory.writeRam32(0x3000 + 8 * i, (i << 21) | 0x83);
memory.writeRam(CODE, Uint8Array.from(LOOP.match(/../g), (pair) => parseInt(pair, 16)));
memory.writeRam(CODE + 0x1000, Uint8Array.of(0xf4));

const state = processor.i32;
const at = (offset) => offset >> 2;
function start(iterations) {
  state[at(stateLayout.cr0)] = 0x80000011 | 0;
  state[at(stateLayout.cr3)] = 0x1000;
  state[at(stateLayout.cr4)] = 0x20;
  state[at(stateLayout.efer)] = 0x500;
  state[at(stateLayout.segments + stateLayout.segmentSize)] = 0xa09b0008 | 0;
  processor.writeRflags(2);
  state.fill(0, at(stateLayout.gpr), at(stateLayout.gpr) + 32);
  state[at(stateLayout.gpr) + 2 * 7] = TABLE;
  state[at(stateLayout.gpr) + 2 * 6] = iterations;
  state[at(stateLayout.gpr) + 2 * 4] = STACK;
  memory.writeRam32(STACK, CODE + 0x1000);
  state[at(stateLayout.rip)] = CODE;
  processor.stateChanged();
}

const asJson = process.argv.includes('--json');
const mips = [];
for (let round = 0; round < 8; round++) {
  start(2_000_000);
  const before = processor.retired;
  const began = performance.now();
  let stop;
  do stop = processor.run(1_000_003);
  while (stop === Stop.Budget);
  const seconds = (performance.now() - began) / 1000;
  const retired = processor.retired - before;
  mips.push(retired / seconds / 1e6);
  const rax = (BigInt(state[at(stateLayout.gpr) + 1] >>> 0) << 32n) | BigInt(state[at(stateLayout.gpr)] >>> 0);
  if (!asJson) console.log(`round ${round}: stop ${stop}, ${retired} instructions, ${mips[round].toFixed(0)} MIPS, rax ${rax.toString(16)}`);
}
if (asJson) console.log(JSON.stringify(mips));

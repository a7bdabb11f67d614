/** Random instruction streams: neither the decoder nor the processor throws, reads past the bytes it was given, or runs on without end. */
import { expect, it } from 'vitest';
import { CodeMode, DecodeStatus, MAX_INSTRUCTION_LENGTH, createInstruction, decode } from '../src/decode/index.js';
import { stateLayout, Stop } from '../src/index.js';
import { CODE, DATA, Guest, Selector, STACK } from './guest.js';

const long = process.env['PARAVISOR_LONG'] === '1';
const STREAMS = long ? 1_000_000 : 4000;
const TIMEOUT = long ? 3_600_000 : 60_000;

/** Most instructions of one stream. */
const BUDGET = 64;
const STREAM_BYTES = 64;

let state = 0;
/** xorshift32 (Marsaglia 2003), seeded by the stream's number. */
function next(): number {
  state ^= state << 13;
  state ^= state >>> 17;
  state ^= state << 5;
  return state >>> 0;
}
function seed(stream: number): void {
  state = Math.imul(stream ^ 0x9e3779b9, 0x85ebca6b) | 1;
  for (let i = 0; i < 4; i++) next();
}

const prefixes = [0x66, 0x67, 0xf2, 0xf3, 0xf0, 0x2e, 0x64, 0x65];

/** Instructions of the right shape (prefixes, REX, opcode of each map, ModRM, displacement) with noise between them. */
function randomStream(bytes: Uint8Array): void {
  for (let i = 0; i < bytes.length; i++) bytes[i] = next() >>> 24;
  for (let at = 0; at < bytes.length - 8; at += 2 + (next() % 9)) {
    let p = at;
    if (next() % 4 === 0) bytes[p++] = prefixes[next() % prefixes.length]!;
    if (next() % 2 === 0) bytes[p++] = 0x40 | (next() & 15);
    const map = next() % 8;
    if (map < 3) bytes[p++] = 0x0f;
    if (map === 0) bytes[p++] = 0x38;
  }
}

const registers = [0n, 1n, 0x7fn, 0x80n, BigInt(DATA), BigInt(DATA + 0xff8), BigInt(STACK), BigInt(CODE), 0x7fff_ffff_ffffn, 0x8000_0000_0000n, 0xffff_8000_0000_0000n, 0xffff_ffff_ffff_ffffn, 0x3ffffcn, 0x80000000n];

it('the decoder takes any bytes, and never more of them than there are', { timeout: TIMEOUT }, () => {
  const instruction = createInstruction();
  const modes = Object.values(CodeMode);
  const bytes = new Uint8Array(STREAM_BYTES);
  let decoded = 0;
  for (let stream = 0; stream < STREAMS; stream++) {
    seed(stream);
    randomStream(bytes);
    const available = next() % 24;
    const status = decode(bytes, 0, available, modes[next() % modes.length]!, instruction);
    if (status !== DecodeStatus.Ok) continue;
    decoded++;
    if (instruction.length < 1 || instruction.length > Math.min(available, MAX_INSTRUCTION_LENGTH)) throw new Error(`stream ${stream}: ${instruction.length} bytes decoded of ${available}`);
  }
  if (long) console.log(`${STREAMS} random streams decoded, ${decoded} valid`);
  expect(decoded).toBeGreaterThan(STREAMS / 4);
});

/** Ring 3, real mode, 32- and 16-bit code in protected and compatibility mode, with and without breakpoints and paging; half of all streams stay in ring 0. */
function enter(guest: Guest, stream: number): void {
  switch (stream % 16) {
    case 0:
    case 4:
      guest.enterUser();
      break;
    case 1:
      guest.startUp(CODE >> 12);
      guest.setReg(4, 0x7000n);
      break;
    case 3:
      guest.protect();
      break;
    case 5:
      guest.protect();
      guest.describe(Selector.code16, 0xffff, 0x00019b01);
      guest.segment(1, Selector.code16, 0x9b, BigInt(CODE), 0xffff);
      guest.segment(2, Selector.kernelData, 0x93, 0n, 0xffff);
      guest.rip = 0;
      break;
    case 7:
      guest.allSelectors();
      guest.segment(1, Selector.code32, 0xc09b);
      break;
    case 9:
      guest.allSelectors();
      guest.segment(1, Selector.userCode32 | 3, 0xc0fb);
      guest.segment(2, Selector.userData | 3, 0xc0f3);
      break;
    case 11:
      guest.set(stateLayout.dr0, BigInt(DATA));
      guest.set(stateLayout.dr0 + 8, BigInt(CODE + 4));
      guest.set(stateLayout.dr7, 0x000f_040an);
      break;
    default:
  }
  guest.processor.stateChanged();
  if (stream % 32 === 11) guest.processor.writeRflags(0x40102);
}

it('the processor runs any bytes: it stops within its budget, for a reason it names', { timeout: TIMEOUT }, () => {
  const guest = new Guest();
  const { processor, memory } = guest;
  const bytes = new Uint8Array(STREAM_BYTES);
  const tables = new Uint8Array(CODE);
  memory.readRam(0, tables);
  const stops = new Map<number, number>();
  const known: number[] = Object.values(Stop);
  let retired = 0;
  let slowestMs = 0;
  for (let stream = 0; stream < STREAMS; stream++) {
    seed(stream);
    randomStream(bytes);
    const start = performance.now();
    try {
      guest.reset();
      memory.writeRam(CODE, bytes);
      for (let number = 0; number < 16; number++) if (number !== 4) guest.setReg(number, registers[next() % registers.length]!);
      enter(guest, stream);
      const before = processor.retired;
      let stop: Stop = Stop.Costed;
      for (let left = BUDGET; left > 0 && stop === Stop.Costed; left = BUDGET - (processor.retired - before)) stop = processor.run(left);
      if (!known.includes(stop)) throw new Error(`stop ${stop}`);
      if (processor.retired - before > BUDGET) throw new Error(`${processor.retired - before} instructions retired`);
      retired += processor.retired - before;
      stops.set(stop, (stops.get(stop) ?? 0) + 1);
    } catch (error) {
      throw new Error(`stream ${stream}: ${Buffer.from(bytes).toString('hex')}`, { cause: error });
    }
    slowestMs = Math.max(slowestMs, performance.now() - start);
    // A stream may have written over tables and handlers.
    if (stream % 16 === 15) memory.writeRam(0, tables);
  }
  if (long) console.log(`${STREAMS} random streams run, ${retired} instructions retired, no exception; slowest ${slowestMs.toFixed(0)} ms; stops ${JSON.stringify([...stops].toSorted())}`);
  for (const stop of [Stop.Budget, Stop.Halted, Stop.Shutdown]) expect(stops.get(stop) ?? 0, `stop ${stop}`).toBeGreaterThan(0);
  expect(slowestMs).toBeLessThan(10_000);
});

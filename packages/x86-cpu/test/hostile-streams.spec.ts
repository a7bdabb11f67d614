/** Random instruction streams: the decoder neither throws nor reads past the bytes it was given. */
import { expect, it } from 'vitest';
import { CodeMode, DecodeStatus, MAX_INSTRUCTION_LENGTH, createInstruction, decode } from '../src/decode/index.js';
import { Dice } from './programs/dice.js';

const long = process.env['PARAVISOR_LONG'] === '1';
const STREAMS = long ? 1_000_000 : 4000;
const TIMEOUT = long ? 3_600_000 : 60_000;
const STREAM_BYTES = 64;

const prefixes = [0x66, 0x67, 0xf2, 0xf3, 0xf0, 0x2e, 0x64, 0x65];

/** Instructions of the right shape (prefixes, REX, opcode of each map, ModRM, displacement) with noise between them. */
function randomStream(dice: Dice, bytes: Uint8Array): void {
  dice.fill(bytes);
  for (let at = 0; at < bytes.length - 8; at += 2 + dice.below(9)) {
    let p = at;
    if (dice.once(4)) bytes[p++] = dice.pick(prefixes);
    if (dice.once(2)) bytes[p++] = 0x40 | dice.below(16);
    const map = dice.below(8);
    if (map < 3) bytes[p++] = 0x0f;
    if (map === 0) bytes[p++] = 0x38;
  }
}

it('the decoder takes any bytes, and never more of them than there are', { timeout: TIMEOUT }, () => {
  const instruction = createInstruction();
  const modes = Object.values(CodeMode);
  const bytes = new Uint8Array(STREAM_BYTES);
  let decoded = 0;
  for (let stream = 0; stream < STREAMS; stream++) {
    const dice = new Dice(stream);
    randomStream(dice, bytes);
    const available = dice.below(24);
    const status = decode(bytes, 0, available, dice.pick(modes), instruction);
    if (status !== DecodeStatus.Ok) continue;
    decoded++;
    if (instruction.length < 1 || instruction.length > Math.min(available, MAX_INSTRUCTION_LENGTH)) throw new Error(`stream ${stream}: ${instruction.length} bytes decoded of ${available}`);
  }
  if (long) console.log(`${STREAMS} random streams decoded, ${decoded} valid`);
  expect(decoded).toBeGreaterThan(STREAMS / 4);
});

import { readFileSync } from 'node:fs';

/** One case of `recording.jsonl`; the README beside it says what the fields mean. */
export interface RecordedCase {
  /** The instruction's bytes. */
  readonly code: Uint8Array;
  /** Registers before, all sixteen. */
  readonly before: readonly bigint[];
  readonly flagsBefore: bigint;
  readonly divideError: boolean;
  /** Registers after: those before, where the processor raised #DE. */
  readonly after: readonly bigint[];
  readonly flagsAfter: bigint;
  /** The data area after. */
  readonly memoryAfter: Uint8Array;
  /** RIP after. */
  readonly ripAfter: bigint;
}

interface Line {
  code: string;
  set: Record<string, string>;
  flags: string;
  divideError?: true;
  registers?: Record<string, string>;
  flagsAfter?: string;
  memory?: [number, string];
  taken?: true;
}

/** Where the data area lies, and how long it is. */
export const RECORDED_DATA = 0x1000_0000n;
export const RECORDED_DATA_SIZE = 1024;

/** Where the instruction lies; a branch it takes leads 64 bytes on. */
export const RECORDED_CODE = 0x2000_0000n;
const BRANCH_TARGET = 64n;

const big = (hex: string): bigint => BigInt(`0x${hex}`);
const bytesOf = (hex: string): Uint8Array => Uint8Array.from(hex.match(/../g) ?? [], (byte) => Number.parseInt(byte, 16));

/** The data area before every case. */
export function recordedMemory(): Uint8Array {
  return Uint8Array.from({ length: RECORDED_DATA_SIZE }, (_, i) => (i * 73 + (i >> 3) * 29 + 17) & 0xff);
}

function parse(text: string): RecordedCase {
  const line = JSON.parse(text) as Line;
  const code = bytesOf(line.code);
  const before = Array.from({ length: 16 }, (_, i) => (line.set[i] === undefined ? 0x0101_0101_0101_0101n * BigInt(i + 1) : big(line.set[i])));
  const after = before.map((value, i) => {
    const changed = line.registers?.[i];
    return changed === undefined ? value : big(changed);
  });
  const memoryAfter = recordedMemory();
  if (line.memory !== undefined) memoryAfter.set(bytesOf(line.memory[1]), line.memory[0]);
  const divideError = line.divideError === true;
  return {
    code,
    before,
    flagsBefore: big(line.flags),
    divideError,
    after,
    flagsAfter: big(line.flagsAfter ?? line.flags),
    memoryAfter,
    ripAfter: RECORDED_CODE + (divideError ? 0n : line.taken ? BRANCH_TARGET : BigInt(code.length)),
  };
}

/** All recorded cases, and the processor they were recorded on. */
export function readRecording(): { processor: string; cases: readonly RecordedCase[] } {
  const [header, ...lines] = readFileSync(new URL('./recording.jsonl', import.meta.url), 'utf8').trim().split('\n');
  return { processor: (JSON.parse(header!) as { processor: string }).processor, cases: lines.map((line) => parse(line)) };
}

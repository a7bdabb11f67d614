import { readFileSync } from 'node:fs';

/** Where the code page lies; an instruction stands in its middle unless its case is about fetching it. */
export const RECORDED_CODE = 0x2000_0000n;
const CODE_START = 0x800n;

/** Two writable pages of data, one that can only be read, nothing behind them. */
export const RECORDED_DATA = 0x1000_0000n;
export const RECORDED_DATA_SIZE = 3 * 4096;
export const RECORDED_WRITABLE_SIZE = 2 * 4096;

/** Linux's selector of data in ring 3. */
const USER_DATA = 0x2b;

/** What fills the code page around the instruction, and ends a case. */
export const INT3 = 0xcc;

/** An exception as user mode sees it. */
export interface RecordedFault {
  readonly vector: number;
  /** -1 where the exception has none. */
  readonly errorCode: number;
  /** Of a page fault, else 0. */
  readonly cr2: bigint;
}

/** One case of `recording.jsonl`; the README beside it says what the fields mean. */
export interface RecordedCase {
  readonly form: string;
  /** The instruction's bytes. */
  readonly code: Uint8Array;
  readonly rip: bigint;
  readonly registers: readonly bigint[];
  readonly flags: bigint;
  readonly fsBase: bigint;
  readonly gsBase: bigint;
  /** Offset in the data, and bytes, that differ from `recordedMemory` before. */
  readonly patches: readonly (readonly [number, Uint8Array])[];
  readonly fault: RecordedFault | undefined;
  readonly ripAfter: bigint;
  readonly registersAfter: readonly bigint[];
  readonly flagsAfter: bigint;
  readonly fsBaseAfter: bigint;
  readonly gsBaseAfter: bigint;
  /** DS ES FS GS. */
  readonly selectorsAfter: readonly number[];
  /** Offset in the data, and bytes, that the instruction changed. */
  readonly changed: readonly [number, Uint8Array] | undefined;
}

/** What was recorded, where. */
export interface Manifest {
  readonly processor: { readonly name: string; readonly family: number; readonly model: number; readonly stepping: number };
  readonly seed: number;
  readonly forms: number;
  readonly cases: number;
}

interface More {
  readonly fault?: [number, number?, string?];
  readonly rip?: string;
  readonly at?: string;
  readonly patch?: (number | string)[];
  readonly fs?: [string, string];
  readonly gs?: [string, string];
  readonly selectors?: number[];
  readonly memory?: [number, string];
}
type Line = [code: string, before: Record<string, string>, flags: string, after: Record<string, string>, flagsAfter: string, more?: More];

const big = (hex: string): bigint => BigInt(`0x${hex}`);
const bytesOf = (hex: string): Uint8Array => Uint8Array.from(hex.match(/../g) ?? [], (byte) => Number.parseInt(byte, 16));

/** The data before a case, but for its patches. */
export function recordedMemory(): Uint8Array {
  return Uint8Array.from({ length: RECORDED_DATA_SIZE }, (_, i) => (i * 73 + (i >> 3) * 29 + 17) & 0xff);
}

function parse(form: string, bits: 32 | 64, [hexCode, before, flags, after, flagsAfter, more = {}]: Line): RecordedCase {
  const code = bytesOf(hexCode);
  const registers = Array.from({ length: 16 }, (_, i) => BigInt.asUintN(bits, before[i] === undefined ? 0x0101_0101_0101_0101n * BigInt(i + 1) : big(before[i])));
  const rip = more.at === undefined ? RECORDED_CODE + CODE_START : big(more.at);
  const patch = more.patch ?? [];
  const { fault, memory } = more;
  return {
    form,
    code,
    rip,
    registers,
    flags: big(flags),
    fsBase: big(more.fs?.[0] ?? '0'),
    gsBase: big(more.gs?.[0] ?? '0'),
    patches: Array.from({ length: patch.length / 2 }, (_, i) => [patch[2 * i] as number, bytesOf(patch[2 * i + 1] as string)] as const),
    fault: fault && { vector: fault[0], errorCode: fault[1] ?? -1, cr2: big(fault[2] ?? '0') },
    ripAfter: more.rip === undefined ? (fault === undefined ? rip + BigInt(code.length) : rip) : big(more.rip),
    registersAfter: registers.map((value, i) => (after[i] === undefined ? value : big(after[i]))),
    flagsAfter: big(flagsAfter),
    fsBaseAfter: big(more.fs?.[1] ?? '0'),
    gsBaseAfter: big(more.gs?.[1] ?? '0'),
    selectorsAfter: more.selectors ?? (bits === 64 ? [0, 0, 0, 0] : [USER_DATA, USER_DATA, 0, 0]),
    changed: memory && [memory[0], bytesOf(memory[1])],
  };
}

/** All recorded cases of code of a width, and what they were recorded on. */
export function readRecording(bits: 32 | 64): { manifest: Manifest; cases: readonly RecordedCase[] } {
  const [first, ...lines] = readFileSync(new URL(bits === 64 ? './recording.jsonl' : './recording-32.jsonl', import.meta.url), 'utf8').trim().split('\n');
  const cases: RecordedCase[] = [];
  let form = '';
  for (const text of lines) {
    const line = JSON.parse(text) as string | Line;
    if (typeof line === 'string') form = line;
    else cases.push(parse(form, bits, line));
  }
  return { manifest: JSON.parse(first!) as Manifest, cases };
}

/** Whole partitions for specs: every backing with every timer, guests from the committed ELFs or from a few bytes. */
import { readFileSync } from 'node:fs';
import { snpBacking } from '@paravisor/backing-snp';
import { tdxBacking } from '@paravisor/backing-tdx';
import { createPartition, readTmk, tmkLoader } from '@paravisor/partition';
import type { Partition, PartitionOptions, RunOutcome, TmkImage } from '@paravisor/partition';
import { guest } from './tool.js';
import type { GuestName } from './tool.js';

/** Every backing with every timer it can have. */
export const configurations = {
  'tdx, hardware timer': () => ({ backing: tdxBacking(), guestTimer: 'hardware' }),
  'tdx, VmTime': () => ({ backing: tdxBacking(), guestTimer: 'vmtime' }),
  'snp, VmTime': () => ({ backing: snpBacking(), guestTimer: 'vmtime' }),
} as const satisfies Record<string, () => Partial<PartitionOptions>>;
export type Configuration = keyof typeof configurations;
export const everyConfiguration = Object.keys(configurations) as Configuration[];

/** SNP's ways to a timer: a timeout made anew each round, one that is kept (PR 3935), and writes of STIMER0_COUNT taken in the kernel (PR 4224). */
export const snpWays = {
  naive: snpBacking({ rearm: 'off', kernelStimer0: 'off' }),
  rearm: snpBacking({ rearm: 'on', kernelStimer0: 'off' }),
  handOff: snpBacking({ rearm: 'on', kernelStimer0: 'on' }),
} as const;

const images = new Map<GuestName, TmkImage>();

/** A committed guest, read once. */
export function guestImage(name: GuestName): TmkImage {
  const image = images.get(name) ?? readTmk(readFileSync(guest(name)));
  images.set(name, image);
  return image;
}

interface Run {
  readonly outcome: RunOutcome;
  readonly partition: Partition;
}

interface RunOptions extends Partial<PartitionOptions> {
  /** Virtual time; 10 s when left out. */
  readonly timeoutNs?: number;
}

/** Runs test `index` of a guest in a partition of its own. */
export function runImage(image: TmkImage, index: number, configuration: Configuration, { timeoutNs = 10e9, ...options }: RunOptions = {}): Run {
  const partition = createPartition({ ...configurations[configuration](), load: tmkLoader(image, index), ...options });
  return { outcome: partition.run({ timeoutNs }), partition };
}

/** Runs a test of the committed guests by its name, which begins with the guest's. */
export function runTest(name: string, configuration: Configuration, options: RunOptions = {}): Run {
  const image = guestImage(name.slice(0, name.indexOf('::')) as GuestName);
  const index = image.tests.findIndex((test) => test.name === name);
  if (index < 0) throw new RangeError(`no committed guest has a test ${name}`);
  return runImage(image, index, configuration, options);
}

/** Where a small guest is, and its page of data behind it. */
const SMALL_GUEST = 0x200000;
export const SMALL_GUEST_DATA = 0x201000;

/** A guest of a few bytes of code, and `data` on the page behind it. It starts in 64-bit mode with interrupts off and no stack. */
export function smallGuest(code: Uint8Array, data: Uint8Array = new Uint8Array()): TmkImage {
  const segments = [
    { gpa: SMALL_GUEST, memoryBytes: 4096, contents: code },
    { gpa: SMALL_GUEST_DATA, memoryBytes: 4096, contents: data },
  ];
  return { entry: SMALL_GUEST, segments, tests: [], end: SMALL_GUEST_DATA + 4096 };
}

/** Instructions by their bytes in hexadecimal; spaces are for the reader. */
export function machineCode(...instructions: readonly string[]): Uint8Array {
  return Uint8Array.from(instructions.join('').replaceAll(' ', '').match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}

const littleEndian = (value: number): string => value.toString(16).padStart(8, '0').match(/../g)!.toReversed().join('');

/** mov ecx, `msr`; mov eax, `value`; xor edx, edx; wrmsr. */
export function wrmsr(msr: number, value: number): string {
  return `b9 ${littleEndian(msr)} b8 ${littleEndian(value)} 31d2 0f30`;
}

/** jmp . */
export const SPIN = 'ebfe';

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ExchangeStatus, PageAccess, PageFaultCode, PagingFormat, PdpteStatus, WalkStatus, createWalkResult, readPdptes, walk } from './index.js';
import type { PagingState, PhysicalAccess, Qword } from './index.js';

/** Sparse physical memory of qwords. Addresses in `unreadable` and `unwritable` fail, as a nested fault would. */
class SparseMemory implements PhysicalAccess {
  readonly qwords = new Map<number, bigint>();
  readonly unreadable = new Set<number>();
  readonly unwritable = new Set<number>();
  exchanges = 0;
  /** Called before every compare-exchange: what another processor does meanwhile. */
  meanwhile: () => void = () => {};

  readQword(gpa: number, out: Qword): boolean {
    if (gpa % 8 !== 0) throw new Error(`unaligned entry ${gpa}`);
    if (this.unreadable.has(gpa)) return false;
    const value = this.qwords.get(gpa) ?? 0n;
    out.lo = Number(BigInt.asIntN(32, value));
    out.hi = Number(BigInt.asIntN(32, value >> 32n));
    return true;
  }

  compareExchangeQword(gpa: number, oldLo: number, oldHi: number, newLo: number, newHi: number): ExchangeStatus {
    this.exchanges++;
    this.meanwhile();
    if (this.unwritable.has(gpa)) return ExchangeStatus.Failed;
    if ((this.qwords.get(gpa) ?? 0n) !== qword(oldLo, oldHi)) return ExchangeStatus.Changed;
    this.qwords.set(gpa, qword(newLo, newHi));
    return ExchangeStatus.Exchanged;
  }
}

function qword(lo: number, hi: number): bigint {
  return (BigInt(hi >>> 0) << 32n) | BigInt(lo >>> 0);
}

interface Machine {
  format: PagingFormat;
  pse: boolean;
  pdptes: readonly bigint[];
  cr3: bigint;
  wp: boolean;
  nxe: boolean;
  smep: boolean;
  smap: boolean;
  ac: boolean;
  bits: number;
}

type Outcome =
  | { status: 'ok'; gpa: bigint; shift: bigint; writable: boolean; user: boolean; executable: boolean; global: boolean; dirty: boolean }
  | { status: 'fault'; code: number }
  | { status: 'nested'; gpa: bigint; write: boolean };

const bit = (value: bigint, n: number): boolean => ((value >> BigInt(n)) & 1n) === 1n;
const field = (value: bigint, high: number, low: number): bigint => (value >> BigInt(low)) & ((1n << BigInt(high - low + 1)) - 1n);

/** SDM vol. 3, 4.4 to 4.8, sentence by sentence and slowly. Writes to `memory` as the processor would. */
function plainWalk(memory: SparseMemory, machine: Machine, linear: bigint, access: number): Outcome {
  const isWrite = (access & PageAccess.Write) !== 0;
  const isUser = (access & PageAccess.User) !== 0;
  const isFetch = (access & PageAccess.Fetch) !== 0;
  const isImplicit = (access & PageAccess.Implicit) !== 0;
  const fault = (present: boolean, reserved: boolean): Outcome => ({
    status: 'fault',
    code:
      (present ? PageFaultCode.Present : 0) +
      (isWrite ? PageFaultCode.Write : 0) +
      (isUser ? PageFaultCode.User : 0) +
      (reserved ? PageFaultCode.Reserved : 0) +
      (isFetch && (machine.nxe || machine.smep) ? PageFaultCode.Fetch : 0),
  });
  const used: { gpa: bigint; value: bigint }[] = [];
  let table = field(machine.cr3, 51, 12) << 12n;
  let shift = 39;
  const isPae = machine.format === PagingFormat.Pae;
  if (isPae) {
    const pdpte = machine.pdptes[Number(field(linear, 31, 30))]!;
    if (!bit(pdpte, 0)) return fault(false, false);
    table = field(pdpte, 51, 12) << 12n;
    shift = 21;
  }
  for (;;) {
    const gpa = table + field(linear, shift + 8, shift) * 8n;
    if (memory.unreadable.has(Number(gpa))) return { status: 'nested', gpa, write: false };
    const value = memory.qwords.get(Number(gpa)) ?? 0n;
    if (!bit(value, 0)) return fault(false, false);
    const isLeaf = shift === 12 || (bit(value, 7) && shift !== 39);
    if (shift === 39 && bit(value, 7)) return fault(true, true);
    if (isLeaf && shift === 30 && field(value, 29, 13) !== 0n) return fault(true, true);
    if (isLeaf && shift === 21 && field(value, 20, 13) !== 0n) return fault(true, true);
    for (let n = machine.bits; n < (isPae ? 63 : 52); n++) if (bit(value, n)) return fault(true, true);
    if (bit(value, 63) && !machine.nxe) return fault(true, true);
    used.push({ gpa, value });
    if (isLeaf) break;
    table = field(value, 51, 12) << 12n;
    shift -= 9;
  }
  const writable = used.every((entry) => bit(entry.value, 1));
  const user = used.every((entry) => bit(entry.value, 2));
  const executable = !used.some((entry) => bit(entry.value, 63));
  if (isUser && !user) return fault(true, false);
  if (isUser && isWrite && !writable) return fault(true, false);
  if (!isUser && isWrite && !writable && machine.wp) return fault(true, false);
  if (isFetch && !executable) return fault(true, false);
  if (!isUser && isFetch && user && machine.smep) return fault(true, false);
  if (!isUser && !isFetch && user && machine.smap && (isImplicit || !machine.ac)) return fault(true, false);
  const leaf = used.at(-1)!;
  for (const entry of used) {
    const marked = entry.value | (1n << 5n) | (entry === leaf && isWrite ? 1n << 6n : 0n);
    if (marked === entry.value) continue;
    if (memory.unwritable.has(Number(entry.gpa))) return { status: 'nested', gpa: entry.gpa, write: true };
    entry.value = marked;
    memory.qwords.set(Number(entry.gpa), marked);
  }
  const base = (field(leaf.value, 51, shift) << BigInt(shift)) + field(linear, shift - 1, 0);
  return { status: 'ok', gpa: base, shift: BigInt(shift), writable, user, executable, global: bit(leaf.value, 8), dirty: bit(leaf.value, 6) };
}

/** SDM vol. 3, 4.3: tables of 4-byte entries, read and written as halves of qwords. */
function plainShortWalk(memory: SparseMemory, machine: Machine, linear: bigint, access: number): Outcome {
  const isWrite = (access & PageAccess.Write) !== 0;
  const isUser = (access & PageAccess.User) !== 0;
  const isFetch = (access & PageAccess.Fetch) !== 0;
  const isImplicit = (access & PageAccess.Implicit) !== 0;
  const fault = (present: boolean, reserved: boolean): Outcome => ({
    status: 'fault',
    code:
      (present ? PageFaultCode.Present : 0) + (isWrite ? PageFaultCode.Write : 0) + (isUser ? PageFaultCode.User : 0) +
      (reserved ? PageFaultCode.Reserved : 0) + (isFetch && machine.smep ? PageFaultCode.Fetch : 0),
  });
  const read = (gpa: bigint): bigint => field(memory.qwords.get(Number(gpa - (gpa % 8n))) ?? 0n, gpa % 8n === 0n ? 31 : 63, gpa % 8n === 0n ? 0 : 32);
  const write = (gpa: bigint, value: bigint): void => {
    const at = Number(gpa - (gpa % 8n));
    const old = memory.qwords.get(at) ?? 0n;
    memory.qwords.set(at, gpa % 8n === 0n ? (field(old, 63, 32) << 32n) | value : (value << 32n) | field(old, 31, 0));
  };
  const fails = (gpa: bigint, list: Set<number>): boolean => list.has(Number(gpa - (gpa % 8n)));
  const pdeAt = (field(machine.cr3, 31, 12) << 12n) + field(linear, 31, 22) * 4n;
  if (fails(pdeAt, memory.unreadable)) return { status: 'nested', gpa: pdeAt, write: false };
  const pde = read(pdeAt);
  if (!bit(pde, 0)) return fault(false, false);
  const large = bit(pde, 7) && machine.pse;
  if (large && bit(pde, 21)) return fault(true, true);
  const pteAt = (field(pde, 31, 12) << 12n) + field(linear, 21, 12) * 4n;
  if (!large && fails(pteAt, memory.unreadable)) return { status: 'nested', gpa: pteAt, write: false };
  const leaf = large ? pde : read(pteAt);
  if (!bit(leaf, 0)) return fault(false, false);
  const writable = bit(pde, 1) && bit(leaf, 1);
  const user = bit(pde, 2) && bit(leaf, 2);
  if (isUser && (!user || (isWrite && !writable))) return fault(true, false);
  if (!isUser && isWrite && !writable && machine.wp) return fault(true, false);
  if (!isUser && user && (isFetch ? machine.smep : machine.smap && (isImplicit || !machine.ac))) return fault(true, false);
  const leafAt = large ? pdeAt : pteAt;
  const marks: [bigint, bigint][] = large ? [] : [[pdeAt, 32n]];
  marks.push([leafAt, isWrite ? 96n : 32n]);
  for (const [gpa, bits] of marks) {
    const value = read(gpa);
    if ((value | bits) === value) continue;
    if (fails(gpa, memory.unwritable)) return { status: 'nested', gpa, write: true };
    write(gpa, value | bits);
  }
  const base = large ? (field(leaf, 20, 13) << 32n) | (field(leaf, 31, 22) << 22n) | field(linear, 21, 0) : (field(leaf, 31, 12) << 12n) | field(linear, 11, 0);
  return { status: 'ok', gpa: base, shift: large ? 22n : 12n, writable, user, executable: true, global: bit(leaf, 8), dirty: bit(leaf, 6) || isWrite };
}

function pagingState(machine: Machine): PagingState {
  return {
    format: machine.format,
    pageSizeExtensions: machine.pse,
    pdptes: Int32Array.from(machine.pdptes.flatMap((entry) => [Number(BigInt.asIntN(32, entry)), Number(BigInt.asIntN(32, entry >> 32n))])),
    cr3Lo: Number(BigInt.asIntN(32, machine.cr3)),
    cr3Hi: Number(BigInt.asIntN(32, machine.cr3 >> 32n)),
    writeProtect: machine.wp,
    noExecuteEnable: machine.nxe,
    smep: machine.smep,
    smap: machine.smap,
    alignmentCheck: machine.ac,
    physicalAddressBits: machine.bits,
  };
}

const result = createWalkResult();

function walkToOutcome(memory: SparseMemory, machine: Machine, linear: bigint, access: number): Outcome {
  walk(memory, pagingState(machine), Number(BigInt.asIntN(32, linear)), Number(BigInt.asIntN(32, linear >> 32n)), access, result);
  switch (result.status) {
    case WalkStatus.Ok: {
      const { gpa, pageShift, writable, user, executable, global, dirty } = result;
      return { status: 'ok', gpa: BigInt(gpa), shift: BigInt(pageShift), writable, user, executable, global, dirty };
    }
    case WalkStatus.PageFault:
      return { status: 'fault', code: result.errorCode };
    case WalkStatus.NestedFault:
      return { status: 'nested', gpa: BigInt(result.failedGpa), write: result.failedWrite };
  }
}

/** The path of one linear address: CR3 and up to four entries, each in a table of its own. */
interface Path {
  machine: Machine;
  linear: bigint;
  access: number;
  entries: bigint[];
  unreadable: number;
  unwritable: number;
}

const weightedBit = (weight: number): fc.Arbitrary<boolean> => fc.nat(99).map((n) => n < weight);
const pageFrame = fc.bigInt(0n, (1n << 40n) - 1n);

/** An entry: mostly present and permissive, now and then large, with reserved bits or address bits near the top. */
const entry = fc
  .tuple(weightedBit(97), weightedBit(80), weightedBit(70), weightedBit(50), weightedBit(50), weightedBit(15), weightedBit(50), weightedBit(15), pageFrame, weightedBit(85), weightedBit(70))
  .map(([present, writable, user, accessed, dirty, large, global, noExecute, frame, tame, aligned]) => {
    let address = (tame ? frame & 0xff_ffffn : frame) << 12n;
    if (large && aligned) address &= ~0x3fff_ffffn;
    const flags: readonly (readonly [boolean, bigint])[] = [[present, 0n], [writable, 1n], [user, 2n], [accessed, 5n], [dirty, 6n], [large, 7n], [global, 8n], [noExecute, 63n]];
    return flags.reduce((value, [set, at]) => (set ? value | (1n << at) : value), address);
  });

const path: fc.Arbitrary<Path> = fc.record({
  machine: fc.record({
    format: fc.constant(PagingFormat.FourLevel),
    pse: fc.boolean(),
    pdptes: fc.constant([]),
    cr3: fc.bigInt(0n, (1n << 36n) - 1n),
    wp: fc.boolean(),
    nxe: weightedBit(80),
    smep: fc.boolean(),
    smap: fc.boolean(),
    ac: fc.boolean(),
    bits: fc.integer({ min: 36, max: 52 }),
  }),
  linear: fc.bigInt(0n, (1n << 48n) - 1n).map((value) => BigInt.asUintN(64, BigInt.asIntN(48, value))),
  access: fc.constantFrom(
    PageAccess.Read,
    PageAccess.Write,
    PageAccess.Fetch,
    PageAccess.Read | PageAccess.User,
    PageAccess.Write | PageAccess.User,
    PageAccess.Fetch | PageAccess.User,
    PageAccess.Read | PageAccess.Implicit,
    PageAccess.Write | PageAccess.Implicit,
  ),
  entries: fc.array(entry, { minLength: 4, maxLength: 4 }),
  unreadable: fc.nat(39),
  unwritable: fc.nat(19),
});

/** Lays the entries where the walk will look for them. */
function build({ machine, linear, entries, unreadable, unwritable }: Path): SparseMemory {
  const memory = new SparseMemory();
  let table = field(machine.cr3, 51, 12) << 12n;
  entries.forEach((value, level) => {
    const shift = 39 - 9 * level;
    const gpa = Number(table + field(linear, shift + 8, shift) * 8n);
    if (!memory.qwords.has(gpa)) memory.qwords.set(gpa, value);
    if (unreadable === level) memory.unreadable.add(gpa);
    if (unwritable === level) memory.unwritable.add(gpa);
    table = field(value, 51, 12) << 12n;
  });
  return memory;
}

/** A path of PAE paging: what is made for four levels, without its first two, and with the register entries in their place. */
const paePath = fc.tuple(path, fc.array(fc.tuple(weightedBit(95), pageFrame), { minLength: 4, maxLength: 4 })).map(([one, pdptes]): Path => ({
  ...one,
  machine: {
    ...one.machine,
    format: PagingFormat.Pae,
    pdptes: pdptes.map(([present, frame]) => ((frame & ((1n << BigInt(one.machine.bits - 12)) - 1n)) << 12n) | (present ? 1n : 0n)),
  },
  linear: BigInt.asUintN(32, one.linear),
  entries: one.entries.slice(2),
}));

/** A path of two levels, of which PDE and PTE are the low halves of the first entries. */
const shortPath = path.map((one): Path => ({
  ...one,
  machine: { ...one.machine, format: PagingFormat.TwoLevel, cr3: BigInt.asUintN(32, one.machine.cr3) },
  linear: BigInt.asUintN(32, one.linear),
  entries: one.entries.map((value) => BigInt.asUintN(32, value)),
}));

function buildPae({ machine, linear, entries, unreadable, unwritable }: Path): SparseMemory {
  const memory = new SparseMemory();
  let table = field(machine.pdptes[Number(field(linear, 31, 30))]!, 51, 12) << 12n;
  entries.forEach((value, level) => {
    const gpa = Number(table + field(linear, level === 0 ? 29 : 20, level === 0 ? 21 : 12) * 8n);
    if (!memory.qwords.has(gpa)) memory.qwords.set(gpa, value);
    if (unreadable === level) memory.unreadable.add(gpa);
    if (unwritable === level) memory.unwritable.add(gpa);
    table = field(value, 51, 12) << 12n;
  });
  return memory;
}

function buildShort({ machine, linear, entries, unreadable, unwritable }: Path): SparseMemory {
  const memory = new SparseMemory();
  let table = field(machine.cr3, 31, 12) << 12n;
  for (const level of [0, 1]) {
    const gpa = table + field(linear, level === 0 ? 31 : 21, level === 0 ? 22 : 12) * 4n;
    const at = Number(gpa - (gpa % 8n));
    // The neighbour has other bits, which must stay.
    if (!memory.qwords.has(at)) memory.qwords.set(at, gpa % 8n === 0n ? (entries[2]! << 32n) | entries[level]! : (entries[level]! << 32n) | entries[3]!);
    if (unreadable === level) memory.unreadable.add(at);
    if (unwritable === level) memory.unwritable.add(at);
    table = field(entries[level]!, 31, 12) << 12n;
  }
  return memory;
}

const PERMISSIVE: Machine = { format: PagingFormat.FourLevel, pse: false, pdptes: [], cr3: 0x1000n, wp: true, nxe: true, smep: true, smap: true, ac: false, bits: 40 };

/** A supervisor page of 4 KiB at linear 0x201000 → 0x55000; tables at 0x1000, 0x2000, 0x3000, 0x4000. */
function simpleMapping(leafFlags: bigint): SparseMemory {
  const memory = new SparseMemory();
  memory.qwords.set(0x1000, 0x2003n);
  memory.qwords.set(0x2000, 0x3003n);
  memory.qwords.set(0x3008, 0x4003n);
  memory.qwords.set(0x4008, 0x55000n | leafFlags);
  return memory;
}

describe('walk', () => {
  it('agrees with a plain walk by the manual: outcome, and every bit of every entry afterwards', () => {
    const seen = new Set<string>();
    fc.assert(
      fc.property(path, (one) => {
        const expectedMemory = build(one);
        const expected = plainWalk(expectedMemory, one.machine, one.linear, one.access);
        const memory = build(one);
        expect(walkToOutcome(memory, one.machine, one.linear, one.access)).toEqual(expected);
        expect(memory.qwords).toEqual(expectedMemory.qwords);
        seen.add(expected.status + ('shift' in expected ? expected.shift : 'code' in expected ? expected.code & 9 : expected.write));
      }),
      { numRuns: 6000, seed: 4 },
    );
    expect([...seen].sort()).toEqual(['fault0', 'fault1', 'fault9', 'nestedfalse', 'nestedtrue', 'ok12', 'ok21', 'ok30']);
  });

  it.each([
    ['PAE tables', paePath, buildPae, plainWalk, ['fault0', 'fault1', 'fault9', 'nestedfalse', 'nestedtrue', 'ok12', 'ok21']],
    ['two levels', shortPath, buildShort, plainShortWalk, ['fault0', 'fault1', 'fault9', 'nestedfalse', 'nestedtrue', 'ok12', 'ok22']],
  ] as const)('agrees with a plain walk by the manual through %s', (_name, paths, lay, plain, outcomes) => {
    const seen = new Set<string>();
    fc.assert(
      fc.property(paths, (one) => {
        const expectedMemory = lay(one);
        const expected = plain(expectedMemory, one.machine, one.linear, one.access);
        const memory = lay(one);
        expect(walkToOutcome(memory, one.machine, one.linear, one.access)).toEqual(expected);
        expect(memory.qwords).toEqual(expectedMemory.qwords);
        seen.add(expected.status + ('shift' in expected ? expected.shift : 'code' in expected ? expected.code & 9 : expected.write));
      }),
      { numRuns: 4000, seed: 5 },
    );
    expect([...seen].sort()).toEqual(outcomes);
  });

  it.each([
    ['in order', 0x5001n, PdpteStatus.Ok],
    ['with a right, which this level does not have', 0x5003n, PdpteStatus.Reserved],
    ['with NX', 0x8000_0000_0000_5001n, PdpteStatus.Reserved],
    ['above the physical address', 1n << 46n | 1n, PdpteStatus.Reserved],
    ['not present, with anything', 0xffff_ffff_ffff_fffen, PdpteStatus.Ok],
  ])('reads page-directory-pointer-table entries %s (SDM vol. 3, 4.4.1)', (_name, value, status) => {
    const memory = new SparseMemory();
    memory.qwords.set(0x1038, value);
    const pdptes = new Int32Array(8).fill(7);
    expect(readPdptes(memory, 0x103f, 46, pdptes)).toBe(status);
    expect(pdptes[6]).toBe(status === PdpteStatus.Ok ? Number(BigInt.asIntN(32, value)) : 7);
    memory.unreadable.add(0x1020);
    expect(readPdptes(memory, 0x1020, 46, pdptes)).toBe(PdpteStatus.Failed);
  });

  it('sets accessed bits at every level and dirty at the leaf, once', () => {
    const memory = simpleMapping(0x3n);
    expect(walkToOutcome(memory, PERMISSIVE, 0x20_1234n, PageAccess.Read)).toMatchObject({ status: 'ok', gpa: 0x55234n, dirty: false });
    expect([...memory.qwords.values()]).toEqual([0x2023n, 0x3023n, 0x4023n, 0x55023n]);
    expect(memory.exchanges).toBe(4);
    expect(walkToOutcome(memory, PERMISSIVE, 0x20_1234n, PageAccess.Write)).toMatchObject({ status: 'ok', dirty: true });
    expect(memory.qwords.get(0x4008)).toBe(0x55063n);
    walkToOutcome(memory, PERMISSIVE, 0x20_1234n, PageAccess.Write);
    expect(memory.exchanges).toBe(5);
  });

  it('leaves every bit alone when the access is refused', () => {
    const memory = simpleMapping(0x1n);
    expect(walkToOutcome(memory, PERMISSIVE, 0x20_1000n, PageAccess.Write)).toEqual({ status: 'fault', code: PageFaultCode.Present | PageFaultCode.Write });
    expect(memory.exchanges).toBe(0);
  });

  it('starts again when another processor changes an entry under it', () => {
    const memory = simpleMapping(0x3n);
    memory.meanwhile = () => {
      memory.qwords.set(0x4008, 0n);
    };
    expect(walkToOutcome(memory, PERMISSIVE, 0x20_1000n, PageAccess.Read)).toEqual({ status: 'fault', code: 0 });
    memory.qwords.set(0x4008, 0x55003n);
    let changes = 0;
    memory.meanwhile = () => {
      if (changes++ === 0) memory.qwords.set(0x4008, 0x66003n);
    };
    expect(walkToOutcome(memory, PERMISSIVE, 0x20_1000n, PageAccess.Read)).toMatchObject({ status: 'ok', gpa: 0x66000n });
  });

  it('names the entry that a nested fault kept it from', () => {
    const memory = simpleMapping(0x3n);
    memory.unreadable.add(0x3008);
    expect(walkToOutcome(memory, PERMISSIVE, 0x20_1000n, PageAccess.Read)).toEqual({ status: 'nested', gpa: 0x3008n, write: false });
    memory.unreadable.clear();
    memory.unwritable.add(0x2000);
    expect(walkToOutcome(memory, PERMISSIVE, 0x20_1000n, PageAccess.Read)).toEqual({ status: 'nested', gpa: 0x2000n, write: true });
  });
});

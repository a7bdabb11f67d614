import { RunStatus, U64 } from '@paravisor/hcl-protocol';
import type { Hcl, HclVp, ReadonlyU64 } from '@paravisor/hcl-protocol';
import { FlatMemory } from '../src/conformance/flat-memory.js';
import type {
  Backing,
  BackingShared,
  BackingVp,
  BackingVpContext,
  Chipset,
  GuestRegisters,
  HardwareIsolatedGuestTimer,
  InitialRegisters,
  SegmentRegister,
  Table,
  TableRegister,
} from '../src/contract/index.js';
import { OffloadResult, Segment } from '../src/contract/index.js';
import type { NativeCpuidParameters } from '../src/cpuid/index.js';
import type { FixedMsr, FixedMsrs } from '../src/msr/index.js';

export const TSC_HZ = 2_000_000_000;
export const RAM_BYTES = 0x10_0000;

/** CPUID leaf 0 of an Intel processor up to leaf 0x16: "GenuineIntel". */
const intelLeaf0 = [0x16, 0x756e6547, 0x6c65746e, 0x49656e69] as const;

/** What the entries of a VP other than the first begin with. */
const prefixOf = (index: number): string => (index === 0 ? '' : `vp${index} `);

/** An ioctl line whose every answer is written by the test; it logs what the paravisor asked of it. */
export class ScriptedHclVp implements HclVp {
  readonly index: number;
  readonly runPage = new Uint8Array(4096);
  readonly apicPage = new Uint8Array(4096);
  readonly #log: string[];
  /** CPUID by leaf; leaves not here are zero. */
  readonly cpuidLeaves = new Map<number, readonly [number, number, number, number]>([[0, intelLeaf0]]);
  /** MSRs VTL2 may read. */
  readonly msrs = new Map<number, bigint>([[0x40000022, BigInt(TSC_HZ)]]);
  /** Virtual TSC now. OS time follows from it at `TSC_HZ`, unless a test sets it. */
  tsc = 0n;
  osTime: bigint | null = null;
  /** Ticks each RDTSC takes. */
  rdtscCost = 0n;
  runErrno = 0;
  readonly interceptMessagePresent = false;
  /** Called for each run ioctl. */
  onRun: () => RunStatus = () => RunStatus.Pending;

  constructor(log: string[], index: number) {
    this.#log = log;
    this.index = index;
  }

  #write(entry: string): void {
    this.#log.push(prefixOf(this.index) + entry);
  }

  get cancelled(): boolean {
    return this.runPage[0] !== 0;
  }

  vmsa(): null {
    return null;
  }
  wake(): void {
    this.#write('wake');
    this.runPage[0] = 1;
  }
  run(): RunStatus {
    this.#write(`run${this.cancelled ? ' (cancel set)' : ''}`);
    return this.onRun();
  }
  tdcall(): number {
    return 0;
  }
  getVpRegister(): number {
    return 0;
  }
  setVpRegister(): number {
    return 0;
  }
  pvalidate(): number {
    return 0;
  }
  rmpadjust(): number {
    return 0;
  }
  rdtsc(out: U64): void {
    this.tsc += this.rdtscCost;
    out.setBigInt(this.tsc);
  }
  cpuid(leaf: number, _subleaf: number, out: Int32Array): void {
    out.set(this.cpuidLeaves.get(leaf >>> 0) ?? [0, 0, 0, 0]);
  }
  rdmsr(index: number, out: U64): boolean {
    const value = this.msrs.get(index);
    if (value === undefined) return false;
    out.setBigInt(value);
    return true;
  }
  osTimeNs(out: U64): void {
    out.setBigInt(this.osTime ?? (this.tsc * 1_000_000_000n) / BigInt(TSC_HZ));
  }
  armTimer(osNs: ReadonlyU64): void {
    this.#write(`arm ${U64.of(0).set(osNs).toBigInt()}`);
  }
  cancelTimer(): void {
    this.#write('cancel timer');
  }
}

function copySegment(from: SegmentRegister, to: SegmentRegister): void {
  to.selector = from.selector;
  to.attributes = from.attributes;
  to.limit = from.limit;
  to.base.set(from.base);
}

/** A VTL's registers as plain values. 64-bit mode, paging by `cr3`, supervisor, unless a test says otherwise. */
export class PlainRegisters implements GuestRegisters {
  readonly gpr = new BigUint64Array(16);
  /** Low and high halves of XMM0 .. XMM15. */
  readonly xmm = new BigUint64Array(32);
  rip = 0n;
  rflags = 0x202;
  cr0 = 0x80010001n;
  cr2 = 0n;
  cr3 = 0n;
  cr4 = 0x20n;
  efer = 0xd01n;
  currentCpl = 0;
  /** 64-bit code, writable data. */
  readonly segments: SegmentRegister[] = Array.from({ length: 8 }, (_, index) => ({
    selector: index === Segment.Cs ? 8 : 0x10,
    attributes: index === Segment.Cs ? 0xa09b : 0xc093,
    limit: 0xffffffff,
    base: new U64(),
  }));
  /** GDTR, IDTR. */
  readonly tables: TableRegister[] = [0, 1].map(() => ({ limit: 0, base: new U64() }));
  /** MSRs the VTL has for itself. */
  readonly msrs = new Map<number, bigint>([0x174, 0x175, 0x176, 0x277, 0xc0000081, 0xc0000082, 0xc0000083, 0xc0000084, 0xc0000102].map((msr) => [msr, 0n]));

  readGpr(index: number, out: U64): void {
    out.setBigInt(this.gpr[index]!);
  }
  writeGpr(index: number, value: ReadonlyU64): void {
    this.gpr[index] = new U64().set(value).toBigInt();
  }
  readRip(out: U64): void {
    out.setBigInt(this.rip);
  }
  writeRip(value: ReadonlyU64): void {
    this.rip = new U64().set(value).toBigInt();
  }
  readRflags(): number {
    return this.rflags;
  }
  writeRflags(value: number): void {
    this.rflags = value;
  }
  readCr(number: 0 | 2 | 3 | 4, out: U64): void {
    out.setBigInt({ 0: this.cr0, 2: this.cr2, 3: this.cr3, 4: this.cr4 }[number]);
  }
  writeCr(number: 0 | 2 | 3 | 4, value: ReadonlyU64): void {
    this[`cr${number}`] = new U64().set(value).toBigInt();
  }
  readEfer(out: U64): void {
    out.setBigInt(this.efer);
  }
  writeEfer(value: ReadonlyU64): void {
    this.efer = new U64().set(value).toBigInt();
  }
  readSegment(index: number, out: SegmentRegister): void {
    copySegment(this.segments[index]!, out);
  }
  writeSegment(index: number, value: SegmentRegister): void {
    copySegment(value, this.segments[index]!);
  }
  readTable(table: Table, out: TableRegister): void {
    out.limit = this.tables[table]!.limit;
    out.base.set(this.tables[table]!.base);
  }
  writeTable(table: Table, value: TableRegister): void {
    this.tables[table]!.limit = value.limit;
    this.tables[table]!.base.set(value.base);
  }
  readMsr(msr: number, out: U64): boolean {
    const value = this.msrs.get(msr);
    if (value !== undefined) out.setBigInt(value);
    return value !== undefined;
  }
  writeMsr(msr: number, value: ReadonlyU64): boolean {
    if (!this.msrs.has(msr)) return false;
    this.msrs.set(msr, new U64().set(value).toBigInt());
    return true;
  }
  readXmm(index: number, low: U64, high: U64): void {
    low.setBigInt(this.xmm[2 * index]!);
    high.setBigInt(this.xmm[2 * index + 1]!);
  }
  writeXmm(index: number, low: ReadonlyU64, high: ReadonlyU64): void {
    this.xmm[2 * index] = new U64().set(low).toBigInt();
    this.xmm[2 * index + 1] = new U64().set(high).toBigInt();
  }
  cpl(): number {
    return this.currentCpl;
  }
}

const NMI = 2;
const RFLAGS_IF = 1 << 9;

/** A backing that records each call of the loop, and does nothing else. */
export class RecordingVp implements BackingVp {
  readonly context: BackingVpContext;
  readonly #log: string[];
  readonly vtlRegisters = [new PlainRegisters(), new PlainRegisters()];
  /** Called after each run ioctl: what the exit asks for. */
  onExit: (vtl: number) => void = () => {};
  /** Called in each round, before the scans. */
  onPendingEvents: () => void = () => {};

  constructor(context: BackingVpContext, log: string[]) {
    this.context = context;
    this.#log = log;
  }

  #write(entry: string): void {
    this.#log.push(prefixOf(this.context.hcl.index) + entry);
  }

  readonly registers = (vtl: number): PlainRegisters => this.vtlRegisters[vtl]!;
  /** What is on offer in this round, by VTL: a vector, 2 for an NMI, −1 for nothing. */
  readonly #offered = [-1, -1];

  /** Start states as they were given, by VTL. */
  readonly initial: InitialRegisters[] = [];

  initialize(vtl: number, registers: InitialRegisters): void {
    this.initial[vtl] = registers;
    this.#write(`initialize ${vtl}`);
  }
  switchVtl(from: number, to: number): void {
    this.#write(`switch ${from} ${to}`);
  }
  flushTlb(vtl: number): void {
    this.#write(`flush ${vtl}`);
  }
  /** What the next entry of VTL0 injects already. */
  queuedVector = -1;
  pendingEventVector(): number {
    return this.queuedVector;
  }
  /** An offer counts whatever its priority. */
  isInterruptPending(vtl: number, checkRflags: boolean): boolean {
    const offered = this.#offered[vtl]!;
    return offered === NMI || (offered >= 0 && (!checkRflags || (this.vtlRegisters[vtl]!.rflags & RFLAGS_IF) !== 0));
  }
  offloadApic(): OffloadResult {
    return OffloadResult.NotOffloaded;
  }
  deliverPendingEvents(vtl: number): void {
    this.#offered.fill(-1);
    this.onPendingEvents();
    this.#write(`pending events ${vtl}`);
  }
  offerInterrupt(vtl: number, vector: number): void {
    this.#offered[vtl] = vector;
    this.#write(`offer ${vtl} ${vector}`);
  }
  offerNmi(vtl: number): void {
    this.#offered[vtl] = NMI;
    this.#write(`nmi ${vtl}`);
  }
  injectException(vtl: number, vector: number, errorCode: number): void {
    this.#write(`exception ${vtl} ${vector} ${errorCode}`);
  }
  beforeRun(vtl: number, halted: boolean): void {
    this.#write(`before ${vtl}${halted ? ' halted' : ''}`);
  }
  save(): null {
    return null;
  }
  restore(): void {}
  afterRun(vtl: number, status: RunStatus): void {
    this.#write(`after ${vtl} ${status}`);
    this.onExit(vtl);
  }
}

/** A guest timer that records what it is asked. */
export class RecordingTimer implements HardwareIsolatedGuestTimer {
  readonly log: string[];
  constructor(log: string[]) {
    this.log = log;
  }
  isHardwareVirtualized(): boolean {
    return true;
  }
  updateDeadline(_vp: BackingVp, now: ReadonlyU64, next: ReadonlyU64): void {
    this.log.push(`update ${new U64().set(now).toBigInt()} ${new U64().set(next).toBigInt()}`);
  }
  clearDeadline(): void {
    this.log.push('clear');
  }
  beginLowerVtlRun(): void {}
  endLowerVtlRun(): void {}
}

/** Device accesses as they arrive; reads answer from `values` by address, or all ones. */
export class RecordingChipset implements Chipset {
  readonly log: string[] = [];
  readonly values = new Map<number, bigint>();

  readMmio(gpa: number, size: number, out: U64): void {
    this.log.push(`read 0x${gpa.toString(16)} ${size}`);
    out.setBigInt(this.values.get(gpa) ?? (1n << BigInt(8 * size)) - 1n);
  }
  writeMmio(gpa: number, size: number, value: ReadonlyU64): void {
    this.log.push(`write 0x${gpa.toString(16)} ${size} 0x${new U64().set(value).toBigInt().toString(16)}`);
  }
  readPort(port: number, size: number): number {
    this.log.push(`in 0x${port.toString(16)} ${size}`);
    return Number(this.values.get(port) ?? -1n);
  }
  writePort(port: number, size: number, value: number): void {
    this.log.push(`out 0x${port.toString(16)} ${size} 0x${(value >>> 0).toString(16)}`);
  }
}

export const initialRegisters: InitialRegisters = {
  gpr: [],
  rip: 0n,
  rflags: 2n,
  cr0: 0x80000001n,
  cr3: 0n,
  cr4: 0x20n,
  efer: 0xd01n,
  pat: 0x0007040600070406n,
  gdtr: { base: 0n, limit: 0 },
  idtr: { base: 0n, limit: 0 },
  segments: [],
};

/** VPs on a scripted ioctl line under a recording backing; `isolation` and the interrupt rule as the test wants them. */
export class ScriptedMachine {
  readonly log: string[] = [];
  readonly memory = new FlatMemory(RAM_BYTES);
  readonly vps: readonly ScriptedHclVp[];
  /** The first VP. */
  readonly vp: ScriptedHclVp;
  readonly hcl: Hcl;
  readonly chipset = new RecordingChipset();
  readonly backing: Backing;
  /** By VP index; filled when a paravisor is made. */
  readonly recordings: RecordingVp[] = [];
  /** Status the host answers a hypercall of VTL2 with, by call code; others are unknown to it. */
  readonly hostStatus = new Map([
    [0x0d, 0],
    [0x0f, 0],
  ]);

  constructor({
    isolation = 'none',
    isolationType = 3,
    enlightenments = 0xa24,
    interruptEndsHaltWithoutIf = false,
    vps = 1,
    fixedMsrs = new Map<number, FixedMsr>() as FixedMsrs,
    nativeCpuid = { maxBasicLeaf: 0xd, maxExtendedLeaf: 0x80000008 | 0, additionalLeaves: new Map() } as NativeCpuidParameters,
    guestTimer = null as HardwareIsolatedGuestTimer | null,
  } = {}) {
    this.vps = Array.from({ length: vps }, (_, index) => new ScriptedHclVp(this.log, index));
    this.vp = this.vps[0]!;
    this.hcl = {
      checkExtension: () => -95,
      hvcall: (control) => this.hostStatus.get(control.lo & 0xffff) ?? 2,
      vps: this.vps,
      memory: this.memory,
    };
    const shared: BackingShared = {
      guestTimer: guestTimer ?? new RecordingTimer(this.log),
      usesHardwareTimer: true,
      hypervisorCpuid: { isolationType, enlightenments },
      fixedMsrs,
      nativeCpuid,
      interruptEndsHaltWithoutIf,
      save: () => null,
      restore: () => {},
      createVp: (context) => (this.recordings[context.hcl.index] = new RecordingVp(context, this.log)),
    };
    this.backing = { name: 'recording', isolation, capabilities: { usesHardwareTimer: true }, options: {}, createShared: () => shared, machine: null };
  }

  /** The first recording VP; exists once a paravisor was made. */
  get recording(): RecordingVp {
    const [first] = this.recordings;
    if (first === undefined) throw new Error('no paravisor was made on this machine yet');
    return first;
  }

  get options() {
    return { backing: this.backing, hcl: this.hcl, chipset: this.chipset, initialRegisters, disableLowerVtlTimerVirt: false };
  }

  /** Forgets what was logged so far, and gives it. */
  takeLog(): string[] {
    return this.log.splice(0);
  }
}

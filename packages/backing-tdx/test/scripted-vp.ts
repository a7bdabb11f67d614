/** The paravisor half over an ioctl line whose `run` and TDVPS fields are what the test says. */
import { Errno, HvRegister, HvStatus, RunStatus, TdcallLeaf, TdxStatus, U64, VmcsField, VmxExit, l2VmOfVtl, viewTdxRunPage } from '@paravisor/hcl-protocol';
import type { GuestMemoryLine, HclVp, ReadonlyU64, TdcallArgument, TdxRunPage } from '@paravisor/hcl-protocol';
import { EmulationStatus, FlatMemory, LocalApic, LocalApicSet, MsrStatus, Synic, VmTimeAccess, VmTimeGuestTimer, VpAssistPage, silentTimerObserver } from '@paravisor/virt-core';
import type { BackingVpContext, ExitHandlers } from '@paravisor/virt-core';
import { l2VmcsFieldHigh } from '../src/abi/index.js';
import type { TdxSettings } from '../src/paravisor/settings.js';
import type { TdxGuestTimer } from '../src/paravisor/timer/index.js';
import { TdxVp } from '../src/paravisor/vp.js';
import { noRemedies } from '../src/paravisor/settings.js';
import { startAt } from './small-guest.js';

export const START = 0x20_0000;

/** An ioctl line with a TDVPS that keeps whatever is written to it. */
class ScriptedHclVp implements HclVp {
  readonly index = 0;
  readonly runPage = new Uint8Array(4096);
  readonly apicPage = new Uint8Array(4096);
  readonly interceptMessagePresent = false;
  readonly runErrno = 0;
  readonly fields = new Map<string, bigint>();
  /** What the driver and the module do in the next run. */
  onRun: () => RunStatus = () => RunStatus.Finished;

  wake(): void {
    this.runPage[0] = 1;
  }
  run(): RunStatus {
    return this.onRun();
  }
  tdcall(argument: TdcallArgument): number {
    const key = `${argument.rdx.hi}:${argument.rdx.lo}`;
    const value = new U64();
    if (argument.rax.lo === TdcallLeaf.VpWr) this.fields.set(key, value.set(argument.r8).toBigInt());
    argument.r8.set(value.setBigInt(this.fields.get(key) ?? 0n));
    argument.rax.setParts(0, TdxStatus.Success);
    return 0;
  }
  /** A field of VTL0's VMCS. */
  vmcs(encoding: number): bigint {
    return this.fields.get(`${l2VmcsFieldHigh(l2VmOfVtl(0), encoding)}:${encoding}`) ?? 0n;
  }
  setVmcs(encoding: number, value: bigint): void {
    this.fields.set(`${l2VmcsFieldHigh(l2VmOfVtl(0), encoding)}:${encoding}`, value);
  }
  vmsa(): null {
    return null;
  }
  getVpRegister(): number {
    return 0;
  }
  /** The kernel's XSETBV takes x87 state with or without SSE. */
  setVpRegister(name: number, value: ReadonlyU64): number {
    return name === HvRegister.Xfem && value.hi === 0 && (value.lo === 1 || value.lo === 3) ? HvStatus.Success : HvStatus.InvalidParameter;
  }
  pvalidate(): number {
    return Errno.ENOTTY;
  }
  rmpadjust(): number {
    return Errno.ENOTTY;
  }
  /** What RDTSC reads. */
  readonly tsc = new U64();
  rdtsc(out: U64): void {
    out.set(this.tsc);
  }
  cpuid(_leaf: number, _subleaf: number, out: Int32Array): void {
    out.fill(0);
  }
  rdmsr(): boolean {
    return false;
  }
  osTimeNs(out: U64): void {
    out.setNumber(0);
  }
  armTimer(): void {}
  cancelTimer(): void {}
}

/** Handlers that log what an exit asked for, and answer as the test says. */
class ScriptedHandlers implements ExitHandlers {
  readonly log: string[] = [];
  msrStatus: MsrStatus = MsrStatus.Ok;
  emulation: EmulationStatus = EmulationStatus.Done;
  listensForLevels = false;

  cpuid(_vtl: number, leaf: number, subleaf: number, out: Int32Array): void {
    this.log.push(`cpuid ${leaf}.${subleaf}`);
    out.set([1, 2, 3, -1]);
  }
  readMsr(_vtl: number, msr: number, out: U64): MsrStatus {
    this.log.push(`rdmsr ${msr.toString(16)}`);
    out.setBigInt(0xffff_fffe_8000_0070n);
    return this.msrStatus;
  }
  writeMsr(_vtl: number, msr: number, value: ReadonlyU64): MsrStatus {
    this.log.push(`wrmsr ${msr.toString(16)} ${new U64().set(value).toString()}`);
    return this.msrStatus;
  }
  readPort(port: number, size: number): number {
    this.log.push(`in ${port.toString(16)}/${size}`);
    return 0xa1b2c3d4 | 0;
  }
  writePort(port: number, size: number, value: number): void {
    this.log.push(`out ${port.toString(16)}/${size} ${value.toString(16)}`);
  }
  emulateMmio(_vtl: number, gpa: number): EmulationStatus {
    this.log.push(`mmio ${gpa.toString(16)}`);
    return this.emulation;
  }
  emulateStringIo(): EmulationStatus {
    this.log.push('string io');
    return this.emulation;
  }
  hypercall(): boolean {
    this.log.push('hypercall');
    return true;
  }
  levelEoi(vtl: number, vector: number): boolean {
    this.log.push(`level eoi ${vtl} ${vector}`);
    return this.listensForLevels;
  }
  halt(vtl: number): void {
    this.log.push(`halt ${vtl}`);
  }
  activityChanged(vtl: number, activity: number): void {
    this.log.push(`activity ${vtl} ${activity}`);
  }
  fatal(_vtl: number, reason: string): void {
    this.log.push(`fatal ${reason}`);
  }
}

/** What TDG.VP.ENTER returned, as far as an exit needs it. */
export interface ScriptedExit {
  /** High half of RAX. */
  readonly status?: number;
  readonly qualification?: number;
  readonly length?: number;
  readonly gpa?: bigint;
  readonly cpl?: number;
  /** Exit interruption information and error code. */
  readonly interruption?: readonly [info: number, errorCode: number];
  readonly idtVectoring?: readonly [info: number, errorCode: number];
}

/** Guest RAM of no bytes: these tests enable no SynIC page. */
const noMemory: GuestMemoryLine = { ramBytes: 0, read: () => false, write: () => false, readU64: () => false, compareExchange: () => -1 };

/** A TDX VP, its VTL0 initialised at `START` with the VmTime timer. */
export class ScriptedTdxVp {
  readonly hcl = new ScriptedHclVp();
  readonly page: TdxRunPage = viewTdxRunPage(this.hcl.runPage);
  readonly handlers = new ScriptedHandlers();
  readonly vmTime = new VmTimeAccess(this.hcl);
  readonly apics: readonly LocalApic[];
  readonly synics: readonly Synic[];
  readonly assistPages = [0, 1].map(() => new VpAssistPage(new FlatMemory(0)));
  readonly vp: TdxVp;

  /** As the scripts have them unless they say otherwise: nothing offloaded, no remedy. */
  static readonly settings: TdxSettings = { offload: false, remedyRepeatedEvent: false, remedyIllegalSelfIpi: false, ...noRemedies };

  constructor(settings: TdxSettings = ScriptedTdxVp.settings, guestTimer: TdxGuestTimer = new VmTimeGuestTimer()) {
    this.apics = [0, 1].map(
      (vtl) => new LocalApic({ vp: 0, vtl, apicId: 0, set: new LocalApicSet({ wake() {} }), vmTime: this.vmTime, x2apicCapable: true, observer: silentTimerObserver }),
    );
    this.synics = this.apics.map((apic, vtl) => new Synic({ vp: 0, vtl, memory: noMemory, interrupts: apic, observer: silentTimerObserver }));
    const context: BackingVpContext = { hcl: this.hcl, vmTime: this.vmTime, apics: this.apics, synics: this.synics, assistPages: this.assistPages, handlers: this.handlers };
    this.vp = new TdxVp(context, guestTimer, settings);
    this.vp.initialize(0, startAt(START));
  }

  /** One entry of VTL0: `module` does what driver and module do until the ioctl returns. */
  round(module: () => void = () => {}, status: RunStatus = RunStatus.Finished): void {
    this.vp.beforeRun(0, false);
    this.hcl.onRun = () => {
      module();
      return status;
    };
    this.vp.afterRun(0, this.hcl.run());
  }

  /** An exit with `reason` after an entry that clears the injection's valid bit, of a two-byte instruction unless `length` says otherwise. */
  exit(reason: number, { status = 0, qualification = 0, length = 2, gpa = 0n, cpl = 0, interruption = [0, 0], idtVectoring = [0, 0] }: ScriptedExit = {}): void {
    this.round(() => {
      const { exitInfo } = this.page.context;
      exitInfo.rax.setParts(reason, status);
      exitInfo.rcx.setParts(qualification, 0);
      exitInfo.r8.set(U64.of(gpa));
      exitInfo.r9.setParts(...interruption);
      exitInfo.r10.setParts(...idtVectoring);
      exitInfo.r11.setParts(0, length);
      exitInfo.r12.setParts(cpl, 0);
      if (status < TdxStatus.PendingInterrupt) this.hcl.setVmcs(VmcsField.EntryInterruptInfo, this.hcl.vmcs(VmcsField.EntryInterruptInfo) & 0x7fffffffn);
    });
  }

  /** An entry in which nothing happens but an interrupt for VTL2: it delivers what it injects. */
  uneventful(): void {
    this.exit(VmxExit.ExternalInterrupt, { length: 0 });
  }

  gpr(index: number): bigint {
    const value = new U64();
    this.vp.registers(0).readGpr(index, value);
    return value.toBigInt();
  }

  setGpr(index: number, value: bigint): void {
    this.vp.registers(0).writeGpr(index, U64.of(value));
  }

  /** How far RIP is from the start. */
  get advanced(): number {
    const value = new U64();
    this.vp.registers(0).readRip(value);
    return value.toNumber() - START;
  }

  takeLog(): readonly string[] {
    return this.handlers.log.splice(0);
  }
}

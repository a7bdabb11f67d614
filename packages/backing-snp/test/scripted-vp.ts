import { RunStatus, U64, viewSnpRunPage, viewVmsa } from '@paravisor/hcl-protocol';
import type { GuestMemoryLine, HclVp, ReadonlyU64, Vmsa } from '@paravisor/hcl-protocol';
import { EmulationStatus, FlatMemory, LocalApic, LocalApicSet, MsrStatus, Synic, VmTimeAccess, VpAssistPage, silentTimerObserver } from '@paravisor/virt-core';
import type { BackingVpContext, ExitHandlers, InitialRegisters } from '@paravisor/virt-core';
import { viewExitMessage } from '../src/abi/index.js';
import type { ExitMessage } from '../src/abi/index.js';
import { GuestPages } from '../src/paravisor/guest-memory.js';
import { SnpVp, createSnpGuestTimer } from '../src/paravisor/index.js';

/** A TMK's start state, as far as tests look at it. */
export const initialRegisters: InitialRegisters = {
  gpr: Array.from({ length: 16 }, (_, index) => 0x1000n + BigInt(index)),
  rip: 0x20_0000n,
  rflags: 2n,
  cr0: 0x8000_0001n,
  cr3: 0x30_0000n,
  cr4: 0x20n,
  efer: 0xd01n,
  pat: 0x0007_0406_0007_0406n,
  gdtr: { base: 0x31_0000n, limit: 23 },
  idtr: { base: 0n, limit: 0xffff },
  segments: [
    ...[0x10, 8, 0x10, 0x10, 0x10, 0x10].map((selector) => ({ selector, attributes: selector === 8 ? 0xa09b : 0xc093, limit: 0xffffffff, base: 0n })),
    { selector: 0, attributes: 0x10000, limit: 0, base: 0n },
    { selector: 0x18, attributes: 0x8b, limit: 0x67, base: 0x32_0000n },
  ],
};

/** An ioctl line with VMSAs, whose `run` is what the test says. */
export class ScriptedHclVp implements HclVp {
  readonly index = 0;
  readonly runPage = new Uint8Array(4096);
  readonly apicPage = new Uint8Array(4096);
  readonly vmsaPages = [new Uint8Array(4096), new Uint8Array(4096)] as const;
  readonly runErrno = 0;
  interceptMessagePresent = false;
  /** What the machine does with the VMSA in the next run. */
  onRun: () => RunStatus = () => RunStatus.Finished;

  vmsa(vtl: number): Uint8Array | null {
    return this.vmsaPages[vtl] ?? null;
  }
  wake(): void {
    this.runPage[0] = 1;
  }
  run(): RunStatus {
    this.interceptMessagePresent = false;
    return this.onRun();
  }
  tdcall(): number {
    return 25;
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
  /** Calls of RMPADJUST. */
  readonly adjusted: string[] = [];
  rmpadjust(gpa: number, vmpl: number, permissions: number): number {
    this.adjusted.push(`VMPL${vmpl} ${gpa.toString(16)} ${permissions}`);
    return 0;
  }
  rdtsc(out: U64): void {
    out.setNumber(0);
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
  onWriteMsr: (msr: number) => void = () => {};

  cpuid(_vtl: number, leaf: number, subleaf: number, out: Int32Array): void {
    this.log.push(`cpuid ${leaf}.${subleaf}`);
    out.set([1, 2, 3, -1]);
  }
  readMsr(_vtl: number, msr: number, out: U64): MsrStatus {
    this.log.push(`rdmsr ${msr.toString(16)}`);
    out.setBigInt(0xffff_fffe_8000_0001n);
    return this.msrStatus;
  }
  writeMsr(_vtl: number, msr: number, value: ReadonlyU64): MsrStatus {
    this.log.push(`wrmsr ${msr.toString(16)} ${new U64().set(value).toString()}`);
    this.onWriteMsr(msr);
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

/** Guest RAM that is only counted. */
const noMemory: GuestMemoryLine = { ramBytes: 0, read: () => false, write: () => false, readU64: () => false, compareExchange: () => -1 };

/** An SNP VP over a scripted ioctl line, its VTL0 initialised. */
export class ScriptedSnpVp {
  readonly hcl = new ScriptedHclVp();
  readonly handlers = new ScriptedHandlers();
  readonly vmTime = new VmTimeAccess(this.hcl);
  readonly apics: readonly LocalApic[];
  readonly synics: readonly Synic[];
  readonly memory = new FlatMemory(0x4000);
  readonly assistPages = [0, 1].map(() => new VpAssistPage(this.memory));
  readonly vp: SnpVp;
  readonly registers = initialRegisters;
  readonly guestTimer = createSnpGuestTimer({ rearm: true, kernelStimer0: true });
  readonly vmsa: Vmsa;
  /** VTL1's VMSA, empty until it is initialised. */
  readonly vtl1: Vmsa;
  readonly exitMessage: ExitMessage = viewExitMessage(this.hcl.runPage);
  readonly runPage = viewSnpRunPage(this.hcl.runPage);

  /** `ramBytes` of guest RAM are accepted; none by default. */
  constructor(ramBytes = 0) {
    this.apics = [0, 1].map(
      (vtl) => new LocalApic({ vp: 0, vtl, apicId: 0, set: new LocalApicSet({ wake() {} }), vmTime: this.vmTime, x2apicCapable: true, observer: silentTimerObserver }),
    );
    this.synics = this.apics.map((apic, vtl) => new Synic({ vp: 0, vtl, memory: this.memory, interrupts: apic, observer: silentTimerObserver }));
    const context: BackingVpContext = { hcl: this.hcl, vmTime: this.vmTime, apics: this.apics, synics: this.synics, assistPages: this.assistPages, handlers: this.handlers };
    this.vp = new SnpVp(context, this.guestTimer, new GuestPages({ vps: [this.hcl], memory: { ...noMemory, ramBytes }, checkExtension: () => 0, hvcall: () => 0 }));
    this.vp.initialize(0, initialRegisters);
    this.vmsa = viewVmsa(this.hcl.vmsaPages[0]);
    this.vtl1 = viewVmsa(this.hcl.vmsaPages[1]);
  }

  /** One entry of VTL0: `machine` does what hardware and host do between the entry and the return of the ioctl. */
  round(machine: (vmsa: Vmsa) => void, status: RunStatus = RunStatus.Finished): void {
    this.vp.beforeRun(0, false);
    this.hcl.onRun = () => {
      machine(this.vmsa);
      return status;
    };
    this.vp.afterRun(0, this.hcl.run());
  }

  /** An exit with `code` of the two-byte instruction at RIP. */
  exit(code: number, info1 = 0, info2 = 0): void {
    this.round((vmsa) => {
      vmsa.guestErrorCode.setParts(code, 0);
      vmsa.exitInfo1.setParts(info1, 0);
      vmsa.exitInfo2.setParts(info2, 0);
      vmsa.nextRip.setParts(vmsa.rip.lo + 2, vmsa.rip.hi);
    });
  }

  takePages(): readonly string[] {
    return this.hcl.adjusted.splice(0);
  }

  takeLog(): readonly string[] {
    return this.handlers.log.splice(0);
  }
}

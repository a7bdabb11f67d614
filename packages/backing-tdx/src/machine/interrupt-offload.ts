/**
 * What the driver finishes in the kernel for a VTL0 whose local APIC is in its virtual-APIC page (mshv_vtl, "intr_inject" and "x2apic" offload): interrupts
 * for VTL2, fixed IPIs, HLT and guest idle, and interrupts that others put into the run page.
 */
import { ApicRegister, HvMsr, Icr, OffloadFlag, RunFlag, Shorthand, TdxStatus, U64, VmxExit, X2APIC_MSR_BASE } from '@paravisor/hcl-protocol';
import type { TdxRunPage } from '@paravisor/hcl-protocol';

/** The kernel as its offload uses it. */
export interface OffloadKernel {
  /** The VP this runs on; a VP's APIC id is its index. */
  readonly vp: number;
  readonly vpCount: number;
  /** TDG.VP.WR: ends VTL0's blocking by STI, and no other. */
  clearInterruptShadow(): void;
  /** Puts a vector into the run page of a VP for it to scan. */
  proxyInterrupt(vp: number, vector: number): void;
  /** An IPI to VTL2's CPUs of `vps`, none of them this one: they come out of their lower VTL, or of their idle. */
  interrupt(vps: readonly number[]): void;
}

const Gpr = { Rax: 0, Rcx: 1, Rdx: 2 } as const;
const WORDS_A_REGISTER = 4;
const BANKS = 8;
const X2APIC_ICR = X2APIC_MSR_BASE + ApicRegister.Icr0;
const EVERYBODY = -1;
const CLUSTER_SHIFT = 16;
const LOGICAL_MASK = 0xffff;

/** The offload of one VP. */
export class InterruptOffload {
  readonly #page: TdxRunPage;
  /** IRR of the virtual-APIC page. */
  readonly #apic: Int32Array;
  readonly #kernel: OffloadKernel;
  readonly #rip = new U64();
  readonly #length = new U64();
  readonly #targets: number[] = [];

  constructor(page: TdxRunPage, apicPage: Uint8Array, kernel: OffloadKernel) {
    this.#page = page;
    this.#apic = new Int32Array(apicPage.buffer, apicPage.byteOffset, apicPage.byteLength / 4);
    this.#kernel = kernel;
  }

  get #on(): boolean {
    return (this.#page.offloadFlags & OffloadFlag.IntrInject) !== 0;
  }

  /**
   * Each time round the driver's loop, whether or not it is cancelled: interrupts others have put into the run page go into IRR, and RVI becomes its top
   * vector, which ends a halt whatever RFLAGS.IF and TPR say. True when user mode has to take them: it offloads nothing, or one is in its exit mask.
   */
  pullProxiedInterrupts(): boolean {
    if (!this.#on) return this.#page.scanProxyIrr !== 0;
    const forUser = this.#pull();
    this.#updateRvi();
    return forUser;
  }

  /** Stops at the first bank with a vector of the exit mask, which it leaves for user mode: later banks wait with it. */
  #pull(): boolean {
    const page = this.#page;
    if (page.scanProxyIrr === 0) return false;
    page.scanProxyIrr = 0;
    for (let bank = 0; bank < BANKS; bank++) {
      const vectors = page.proxyIrr[bank]!;
      if (vectors === 0) continue;
      if ((page.proxyIrrExitMask[bank]! & vectors) !== 0) {
        page.scanProxyIrr = 1;
        return true;
      }
      page.proxyIrr[bank] = 0;
      this.#apic[(ApicRegister.Irr0 + bank) * WORDS_A_REGISTER]! |= vectors;
    }
    return false;
  }

  #updateRvi(): void {
    const page = this.#page;
    const rvi = this.#topRequest();
    page.context.gprList.rvi = rvi;
    if (rvi === 0) return;
    page.offloadFlags &= ~(OffloadFlag.HaltHlt | OffloadFlag.HaltIdle);
    if ((page.offloadFlags & OffloadFlag.HaltOther) === 0) page.flags &= ~RunFlag.Halted;
  }

  #topRequest(): number {
    for (let bank = BANKS - 1; bank >= 0; bank--) {
      const bits = this.#apic[(ApicRegister.Irr0 + bank) * WORDS_A_REGISTER]!;
      if (bits !== 0) return bank * 32 + 31 - Math.clz32(bits);
    }
    return 0;
  }

  /**
   * After an entry or an idle: true when the kernel has finished what is in exit_info. Whether an event was cut off it asks bit 63 of r10, which is the
   * top bit of the event's error code; the valid bit is bit 31.
   */
  finish(): boolean {
    const { rax, r10 } = this.#page.context.exitInfo;
    if (!this.#on || r10.hi < 0) return false;
    if (rax.hi === TdxStatus.L2ExitPendingInterrupt || rax.hi === TdxStatus.PendingInterrupt) return true;
    switch (rax.lo) {
      case VmxExit.MsrWrite:
        return this.#sendIpi();
      case VmxExit.Hlt:
        this.#halt(OffloadFlag.HaltHlt);
        return true;
      case VmxExit.MsrRead:
        if (this.#page.context.gprList.gpr[Gpr.Rcx]!.lo !== HvMsr.GuestIdle) return false;
        this.#halt(OffloadFlag.HaltIdle);
        return true;
      default:
        return false;
    }
  }

  /** RDX:RAX of a guest-idle read stay as they are: the kernel does not write the 0 that user mode would. */
  #halt(flag: number): void {
    this.#kernel.clearInterruptShadow();
    this.#advance();
    const page = this.#page;
    page.flags |= RunFlag.Halted;
    page.offloadFlags |= flag;
  }

  #advance(): void {
    const { exitInfo, gprList } = this.#page.context;
    gprList.rip.set(this.#rip.set(gprList.rip).add(this.#length.setParts(exitInfo.r11.hi, 0)));
    exitInfo.rax.setParts(0, TdxStatus.PendingInterrupt);
  }

  /** Fixed, edge-triggered writes of either ICR. The ICR that user mode keeps for reading does not see them. */
  #sendIpi(): boolean {
    const { gpr } = this.#page.context.gprList;
    const rcx = gpr[Gpr.Rcx]!;
    if ((this.#page.offloadFlags & OffloadFlag.X2apic) === 0 || rcx.hi !== 0 || (rcx.lo !== X2APIC_ICR && rcx.lo !== HvMsr.Icr)) return false;
    const icr = gpr[Gpr.Rax]!.lo;
    if ((icr & (Icr.DeliveryMask | Icr.LevelTriggered)) !== 0) return false;
    const targets = this.#targets;
    targets.length = 0;
    if (!this.#addTargets(icr, gpr[Gpr.Rdx]!.lo)) return false;
    const kernel = this.#kernel;
    for (const vp of targets) kernel.proxyInterrupt(vp, icr & Icr.VectorMask);
    const self = targets.indexOf(kernel.vp);
    if (self >= 0) targets.splice(self, 1);
    if (targets.length !== 0) kernel.interrupt(targets);
    this.#advance();
    return true;
  }

  /** False when a destination names no VP: user mode is to see to that. */
  #addTargets(icr: number, destination: number): boolean {
    const { vp: self } = this.#kernel;
    const shorthand = (icr & Icr.ShorthandMask) >>> Icr.ShorthandShift;
    if (shorthand === Shorthand.AllIncludingSelf || destination === EVERYBODY) return this.#addAll(EVERYBODY);
    if (shorthand === Shorthand.AllExcludingSelf) return this.#addAll(self);
    if (shorthand === Shorthand.Self) return this.#add(self);
    if ((icr & Icr.LogicalDestination) === 0) return this.#add(destination >>> 0);
    const cluster = destination >>> CLUSTER_SHIFT;
    for (let id = 15; id >= 0; id--) {
      if ((destination & LOGICAL_MASK & (1 << id)) !== 0 && !this.#add(cluster * 16 + id)) return false;
    }
    return true;
  }

  #addAll(except: number): boolean {
    for (let vp = 0; vp < this.#kernel.vpCount; vp++) if (vp !== except) this.#targets.push(vp);
    return true;
  }

  #add(vp: number): boolean {
    if (vp >= this.#kernel.vpCount) return false;
    this.#targets.push(vp);
    return true;
  }
}

/**
 * The mshv_vtl driver's SNP path for one VP: it asks the host to run the VMSA of `target_vtl`, and comes back when VTL2 runs again. The guest's writes to
 * STIMER0_COUNT it may take by itself.
 */
import { Errno, ExitDestination, ExitReason, SvmExit, viewSnpRunPage } from '@paravisor/hcl-protocol';
import type { SnpRunPage } from '@paravisor/hcl-protocol';
import { PathOutcome } from '@paravisor/virt-machine';
import type { IsolationVp, VpMachine } from '@paravisor/virt-machine';
import { matchesNestedPageFault, viewExitMessage } from '../abi/index.js';
import type { ExitMessage } from '../abi/index.js';
import { exitReasonNumber } from './exit-reason.js';
import { sendInterceptMessage } from './host.js';
import type { Rmp } from './rmp.js';
import { KernelStimer0 } from './stimer0.js';
import type { ReferenceCounter } from './stimer0.js';
import { RunResult, VmsaRunner } from './vmrun.js';
import type { VmsaRunnerState } from './vmrun.js';

export type SnpDriverVpState = {
  readonly vtl: number;
  readonly entered: boolean;
  readonly interceptMessagePresent: boolean;
  readonly runners: readonly VmsaRunnerState[];
};

const LOWER_VTLS = [0, 1] as const;

export class SnpDriverVp implements IsolationVp {
  interceptMessagePresent = false;
  readonly #machine: VpMachine;
  readonly #rmp: Rmp;
  readonly #page: SnpRunPage;
  readonly #exitMessage: ExitMessage;
  readonly #runners: readonly VmsaRunner[];
  readonly #stimer0: KernelStimer0;
  /** The lower VTL entered last. */
  #vtl = 0;
  /** It has not come back: the VP had to wait. */
  #entered = false;

  constructor(rmp: Rmp, machine: VpMachine, referenceCounter: ReferenceCounter) {
    this.#rmp = rmp;
    this.#machine = machine;
    this.#page = viewSnpRunPage(machine.runPage);
    this.#exitMessage = viewExitMessage(machine.runPage);
    this.#runners = LOWER_VTLS.map((vtl) => new VmsaRunner(machine, vtl));
    this.#stimer0 = new KernelStimer0(machine, this.#page, referenceCounter);
  }

  enter(): PathOutcome {
    if (!this.#entered && !this.#enterLowerVtl()) return PathOutcome.Exit;
    this.#entered = !this.#runners[this.#vtl]!.run();
    if (this.#entered) return PathOutcome.Pending;
    this.#leaveLowerVtl();
    return this.#stimer0.take(this.#runners[this.#vtl]!.vmsa) ? PathOutcome.Again : PathOutcome.Exit;
  }

  /** False when the VMSA cannot be run: VTL2 asked the host in vain, and no lower VTL was entered. */
  #enterLowerVtl(): boolean {
    const { host, clock, costs } = this.#machine;
    this.interceptMessagePresent = false;
    this.#vtl = this.#page.targetVtl === 1 ? 1 : 0;
    this.#rmp.apply();
    if (this.#runners[this.#vtl]!.start() !== RunResult.Running) {
      host.call(ExitReason.other);
      return false;
    }
    host.countVmplSwitch(this.#vtl);
    clock.charge(costs.ticks.vmEntry);
    return true;
  }

  #leaveLowerVtl(): void {
    const { index, clock, costs, ledger, host, memory } = this.#machine;
    const { vmsa } = this.#runners[this.#vtl]!;
    ledger.count(index, this.#vtl, ExitDestination.Paravisor, exitReasonNumber(vmsa.guestErrorCode, vmsa.exitInfo1), clock.now);
    clock.charge(costs.ticks.vmExit);
    this.interceptMessagePresent = sendInterceptMessage(this.#exitMessage, vmsa, index, memory.ramBytes);
    host.countVmplSwitch(this.#vtl);
  }

  /** No timer of the kernel's own: a halted VP waits for VTL2's timers as they are armed. */
  beforeIdle(): void {}

  afterIdle(): PathOutcome {
    return PathOutcome.Again;
  }

  /** STIMER0 as the kernel keeps it ends with the run: user mode's timers are armed for it from here on. */
  beforeReturn(): void {
    this.#stimer0.stop();
  }

  /** As user mode will judge the exit: a nested page fault counts by whether the host's message is there and names the same page. */
  userExitReason(): number {
    const { guestErrorCode, exitInfo1, exitInfo2 } = this.#runners[this.#vtl]!.vmsa;
    if (guestErrorCode.lo === SvmExit.Npf) {
      if (!this.interceptMessagePresent) return ExitReason.npf_no_intercept;
      if (!matchesNestedPageFault(this.#exitMessage, exitInfo2)) return ExitReason.npf_spurious;
    }
    // Without the host's message about the GHCB, a VMGEXIT is one more automatic exit.
    if (guestErrorCode.lo === SvmExit.Vmgexit && !this.interceptMessagePresent) return ExitReason.automatic_exit;
    return exitReasonNumber(guestErrorCode, exitInfo1);
  }

  /** A TDX ioctl: an SNP driver has none such. */
  tdcall(): number {
    return Errno.ENOTTY;
  }

  pvalidate(gpa: number, validate: boolean): number {
    this.#machine.clock.charge(this.#machine.costs.ticks.pvalidate);
    return this.#rmp.pvalidate(gpa, validate);
  }

  rmpadjust(gpa: number, vmpl: number, permissions: number): number {
    this.#machine.clock.charge(this.#machine.costs.ticks.rmpadjust);
    return this.#rmp.rmpadjust(gpa, vmpl, permissions);
  }

  vmsa(vtl: number): Uint8Array | null {
    return this.#machine.vmsaPages[vtl] ?? null;
  }

  save(): SnpDriverVpState {
    const { interceptMessagePresent } = this;
    return { vtl: this.#vtl, entered: this.#entered, interceptMessagePresent, runners: this.#runners.map((runner) => runner.save()) };
  }

  restore({ vtl, entered, interceptMessagePresent, runners }: SnpDriverVpState): void {
    this.#vtl = vtl;
    this.#entered = entered;
    this.interceptMessagePresent = interceptMessagePresent;
    for (const [index, runner] of this.#runners.entries()) runner.restore(runners[index]!);
  }
}

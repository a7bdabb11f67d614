/** The host's VMRUN of a lower VMPL's VMSA, and what hardware checks and does around it. */
import { EventInject, SevFeature, SvmExit, U64, VIntr, restoreU64, saveU64, viewVmsa } from '@paravisor/hcl-protocol';
import type { Vmsa } from '@paravisor/hcl-protocol';
import { GuestStop } from '@paravisor/virt-machine';
import type { VpMachine } from '@paravisor/virt-machine';
import { ExitKind } from '@paravisor/x86-cpu';
import type { Processor } from '@paravisor/x86-cpu';
import { Efer, VMPL_OF_VTL } from '../abi/index.js';
import { writeExitCode, writeInstructionExit, writeInterruptedEvent, writeNestedPageFault } from './exit-information.js';
import { configureIntercepts } from './intercepts.js';
import { VmsaState } from './vmsa-state.js';

/** Features without which the model's hardware does not run a VMSA, and those it knows. */
const REQUIRED_FEATURES = SevFeature.Snp | SevFeature.ReflectVc | SevFeature.AlternateInjection;
const KNOWN_FEATURES = REQUIRED_FEATURES | SevFeature.DebugSwap;

/** How an attempt to run a VMSA stands. */
export const RunResult = {
  /** The VMSA is guest-busy: not run. */
  Busy: 0,
  /** Not run, because the VMSA is not one hardware takes; its exit code says so. */
  Invalid: 1,
  /** The lower VMPL runs. */
  Running: 2,
} as const;
export type RunResult = (typeof RunResult)[keyof typeof RunResult];

export type VmsaRunnerState = { readonly event: string; readonly retiredAtEntry: number };

/** One lower VTL of one VP: its VMSA in the hardware's hands. */
export class VmsaRunner {
  readonly processor: Processor;
  readonly vmsa: Vmsa;
  readonly #vtl: number;
  readonly #machine: VpMachine;
  readonly #state: VmsaState;
  /** The event given to the processor at the last entry, and what had retired then: whether it was delivered shows only by something retired. */
  readonly #event = new U64();
  #retiredAtEntry = 0;

  constructor(machine: VpMachine, vtl: number) {
    this.#machine = machine;
    this.#vtl = vtl;
    this.processor = machine.processors[vtl]!;
    this.vmsa = viewVmsa(machine.vmsaPages[vtl]!);
    this.#state = new VmsaState(machine, vtl, this.vmsa);
    configureIntercepts(this.processor);
  }

  /** VMRUN. What hardware refuses is said in the exit code, VMEXIT_INVALID (all ones; an assumption: a real host would learn it, and VTL2 from it). */
  start(): RunResult {
    const { vmsa } = this;
    if ((vmsa.vIntrCntrl.hi & VIntr.HighGuestBusy) !== 0) return RunResult.Busy;
    if (!this.#isValid()) {
      vmsa.guestErrorCode.setParts(-1, -1);
      return RunResult.Invalid;
    }
    this.#event.set(vmsa.eventInject);
    this.#retiredAtEntry = this.processor.retired;
    this.#state.load();
    return RunResult.Running;
  }

  save(): VmsaRunnerState {
    return { event: saveU64(this.#event), retiredAtEntry: this.#retiredAtEntry };
  }

  restore({ event, retiredAtEntry }: VmsaRunnerState): void {
    restoreU64(this.#event, event);
    this.#retiredAtEntry = retiredAtEntry;
  }

  #isValid(): boolean {
    const { sevFeatures, efer, vmpl } = this.vmsa;
    const features = sevFeatures.lo;
    const featuresKnown = (features & REQUIRED_FEATURES) === REQUIRED_FEATURES && (features & ~KNOWN_FEATURES) === 0 && sevFeatures.hi === 0;
    return featuresKnown && (efer.lo & Efer.Svme) !== 0 && vmpl === VMPL_OF_VTL[this.#vtl];
  }

  /** Runs until an exit, which is then in the VMSA with the state. False when the VP has to wait first; call again to go on. */
  run(): boolean {
    const stop = this.#machine.runGuest(this.processor, Infinity);
    if (stop === GuestStop.Horizon) return false;
    this.#exit(stop);
    return true;
  }

  #exit(stop: GuestStop): void {
    const { vmsa, processor } = this;
    const { exit } = processor;
    this.#state.store();
    vmsa.exitIntInfo.setParts(0, 0);
    switch (stop) {
      case GuestStop.Intercept:
        if (exit.kind === ExitKind.NestedPageFault) {
          writeNestedPageFault(vmsa, exit, exit.gpa < this.#machine.memory.ramBytes);
          writeInterruptedEvent(vmsa, exit);
        } else {
          writeInstructionExit(vmsa, exit);
        }
        return;
      case GuestStop.Halted:
        return writeExitCode(vmsa, SvmExit.Hlt);
      case GuestStop.Shutdown:
        return writeExitCode(vmsa, SvmExit.Shutdown);
      case GuestStop.Vtl2Interrupt:
        return this.#interruptExit();
      default:
        throw new Error(`a lower VMPL stopped with ${stop}, though it was given no deadline`);
    }
  }

  /** An interrupt for VTL2. One that came before the injected event was delivered leaves that event as the one cut off (APM 15.20). */
  #interruptExit(): void {
    const { vmsa, processor } = this;
    writeExitCode(vmsa, SvmExit.Intr);
    if ((this.#event.lo & EventInject.Valid) !== 0 && processor.retired === this.#retiredAtEntry) vmsa.exitIntInfo.set(this.#event);
  }
}

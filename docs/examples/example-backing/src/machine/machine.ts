/** The machine half: a processor with VMX in VTL2's hands, and the driver's path to it. VTL2 enters its lower VTLs by itself: no entry goes through the host. */
import { Errno, ExitDestination, viewRunPage } from '@paravisor/hcl-protocol';
import type { Plain, RunPage } from '@paravisor/hcl-protocol';
import { PathOutcome } from '@paravisor/virt-machine';
import type { IsolationMachine, IsolationVp, MachineBacking, VpMachine } from '@paravisor/virt-machine';
import { EXAMPLE_CONTEXT_CAPABILITY, viewContext } from '../abi/context.js';
import type { ExampleContext } from '../abi/context.js';
import { exitReasonNumber, exitReasons } from './exits.js';
import { LowerVtlRun } from './lower-vtl-run.js';

/** The driver's path of one VP. */
class ExampleDriverVp implements IsolationVp {
  readonly interceptMessagePresent = false;
  readonly #machine: VpMachine;
  readonly #page: RunPage;
  readonly #context: ExampleContext;
  readonly #vtls: readonly LowerVtlRun[];
  /** The VTL entered last, and whether it has not come back yet. */
  #vtl = 0;
  #entered = false;

  constructor(machine: VpMachine) {
    this.#machine = machine;
    this.#page = viewRunPage(machine.runPage);
    this.#context = viewContext(machine.runPage);
    this.#vtls = [0, 1].map((vtl) => new LowerVtlRun(machine, this.#context, vtl));
  }

  enter(): PathOutcome {
    if (!this.#entered) {
      this.#vtl = this.#page.targetVtl === 1 ? 1 : 0;
      this.#vtls[this.#vtl]!.enter();
    }
    this.#entered = !this.#vtls[this.#vtl]!.run();
    if (this.#entered) return PathOutcome.Pending;
    const { index, clock, ledger } = this.#machine;
    ledger.count(index, this.#vtl, ExitDestination.Paravisor, this.userExitReason(), clock.now);
    return PathOutcome.Exit;
  }

  /** No timer of the kernel's own: a halted VP waits for VTL2's timers as they are armed. */
  beforeIdle(): void {}

  afterIdle(): PathOutcome {
    return PathOutcome.Again;
  }

  /** Nothing of this driver's goes on only for a run. */
  beforeReturn(): void {}

  userExitReason(): number {
    return exitReasonNumber(this.#context.exit.reason);
  }

  tdcall(): number {
    return Errno.ENOTTY;
  }

  pvalidate(): number {
    return Errno.ENOTTY;
  }

  rmpadjust(): number {
    return Errno.ENOTTY;
  }

  vmsa(): null {
    return null;
  }

  save() {
    return { vtl: this.#vtl, entered: this.#entered, vtls: this.#vtls.map((run) => run.save()) };
  }

  restore(state: Plain): void {
    const { vtl, entered, vtls } = state as unknown as DriverVpState;
    this.#vtl = vtl;
    this.#entered = entered;
    for (const [index, run] of this.#vtls.entries()) run.restore(vtls[index]!);
  }
}

type DriverVpState = ReturnType<ExampleDriverVp['save']>;

class ExampleMachine implements IsolationMachine {
  checkExtension(capability: number): number | undefined {
    return capability === EXAMPLE_CONTEXT_CAPABILITY ? 1 : undefined;
  }

  /** VTL2 sees the bare processor's CPUID. */
  cpuid(): boolean {
    return false;
  }

  createVp(vp: VpMachine): IsolationVp {
    return new ExampleDriverVp(vp);
  }

  /** All state is the VPs'. */
  save(): null {
    return null;
  }

  restore(): void {}
}

/** The machine half of the backing. */
export const exampleMachine: MachineBacking = { processorVendor: 'intel', exitReasons, create: () => new ExampleMachine() };

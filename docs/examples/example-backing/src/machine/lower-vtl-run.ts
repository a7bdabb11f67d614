/** One lower VTL of one VP in the hands of VMX: entry, run, exit. */
import { InterruptionInfo, ProcessorControl, VmxExit } from '@paravisor/hcl-protocol';
import { GuestStop } from '@paravisor/virt-machine';
import type { VpMachine } from '@paravisor/virt-machine';
import type { Processor } from '@paravisor/x86-cpu';
import type { ExampleContext, ExampleExit, VtlState } from '../abi/context.js';
import { writeIntercept, writePlainExit } from './exits.js';
import { GuestState } from './guest-state.js';
import { configureIntercepts } from './intercepts.js';

const WINDOWS = ProcessorControl.InterruptWindow | ProcessorControl.NmiWindow;

export class LowerVtlRun {
  readonly #machine: VpMachine;
  readonly #processor: Processor;
  readonly #state: VtlState;
  readonly #exit: ExampleExit;
  readonly #registers: GuestState;
  #windows = 0;
  /** The event given to the processor at the last entry, and what had retired then: nothing retired means that it was not delivered. */
  #injected = 0;
  #injectedErrorCode = 0;
  #retiredAtEntry = 0;

  constructor(machine: VpMachine, context: ExampleContext, vtl: number) {
    this.#machine = machine;
    this.#processor = machine.processors[vtl]!;
    this.#state = context.vtls[vtl]!;
    this.#exit = context.exit;
    this.#registers = new GuestState(machine.runPage, vtl, this.#state, this.#processor);
    configureIntercepts(this.#processor);
  }

  /** VM entry: registers, windows, and the event to inject. */
  enter(): void {
    this.#machine.clock.charge(this.#machine.costs.ticks.vmEntry);
    this.#registers.load();
    this.#applyWindows(this.#state.windows & WINDOWS);
    this.#inject();
    if (this.#state.flushTlb === 0) return;
    this.#state.flushTlb = 0;
    this.#processor.flushTlb();
  }

  #applyWindows(windows: number): void {
    if (windows === this.#windows) return;
    this.#windows = windows;
    const { intercepts } = this.#processor;
    intercepts.interruptWindow = (windows & ProcessorControl.InterruptWindow) !== 0;
    intercepts.nmiWindow = (windows & ProcessorControl.NmiWindow) !== 0;
    this.#processor.interceptsChanged();
  }

  #inject(): void {
    const { entryInfo: info, entryErrorCode, entryInstructionLength } = this.#state;
    this.#state.entryInfo = 0;
    this.#injected = info & InterruptionInfo.Valid ? info : 0;
    if (this.#injected === 0) return;
    this.#injectedErrorCode = entryErrorCode;
    this.#retiredAtEntry = this.#processor.retired;
    const errorCode = (info & InterruptionInfo.ErrorCodeValid) === 0 ? -1 : entryErrorCode;
    this.#processor.inject((info & InterruptionInfo.TypeMask) >>> InterruptionInfo.TypeShift, info & InterruptionInfo.VectorMask, errorCode, entryInstructionLength);
  }

  /** Runs until the lower VTL exits; false when the VP has to wait for others first: call again to go on. */
  run(): boolean {
    const stop = this.#machine.runGuest(this.#processor, Infinity);
    if (stop === GuestStop.Horizon) return false;
    this.#registers.store();
    this.#writeExit(stop);
    this.#machine.clock.charge(this.#machine.costs.ticks.vmExit);
    return true;
  }

  #writeExit(stop: GuestStop): void {
    switch (stop) {
      case GuestStop.Intercept:
        return writeIntercept(this.#exit, this.#processor.exit);
      case GuestStop.Vtl2Interrupt:
        writePlainExit(this.#exit, VmxExit.ExternalInterrupt);
        return this.#returnInjection();
      case GuestStop.Shutdown:
        return writePlainExit(this.#exit, VmxExit.TripleFault);
      default:
        throw new Error(`the lower VTL stopped with ${stop}, which it was given no reason for`);
    }
  }

  /** The interrupt came before the injected event was delivered: it goes back as the event cut off. */
  #returnInjection(): void {
    if (this.#injected === 0 || this.#processor.retired !== this.#retiredAtEntry) return;
    this.#exit.idtVectoring = this.#injected;
    this.#exit.idtVectoringErrorCode = this.#injectedErrorCode;
  }

  /** What is in no page and no register. */
  save() {
    return { windows: this.#windows, injected: this.#injected, injectedErrorCode: this.#injectedErrorCode, retiredAtEntry: this.#retiredAtEntry };
  }

  restore({ windows, injected, injectedErrorCode, retiredAtEntry }: LowerVtlRunState): void {
    this.#applyWindows(windows);
    this.#injected = injected;
    this.#injectedErrorCode = injectedErrorCode;
    this.#retiredAtEntry = retiredAtEntry;
  }
}

export type LowerVtlRunState = ReturnType<LowerVtlRun['save']>;

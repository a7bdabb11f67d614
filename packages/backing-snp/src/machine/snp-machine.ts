/** The SNP hardware and the driver's SNP path of one partition. */
import { Errno, ExitReason, MshvCapability, exitReasonsOf } from '@paravisor/hcl-protocol';
import { Vtl2Processor } from '@paravisor/virt-machine';
import type { IsolationMachine, IsolationVp, MachineBacking, MachineContext, VpMachine } from '@paravisor/virt-machine';
import { SnpDriverVp } from './driver.js';
import { Rmp } from './rmp.js';
import type { RmpState } from './rmp.js';

const PROCESSOR_VENDOR = 'amd';

class SnpMachine implements IsolationMachine {
  /** VTL2 reaches its host by VMGEXIT. */
  readonly hostCallReason = ExitReason.vmgexit;
  readonly #rmp: Rmp;
  readonly #vtl2Processor: Vtl2Processor;

  constructor(context: MachineContext) {
    this.#rmp = new Rmp(context);
    this.#vtl2Processor = new Vtl2Processor(PROCESSOR_VENDOR, context.tscHz);
  }

  /** Lower-VTL timer virtualization is for TDX. */
  checkExtension(capability: number): number | undefined {
    return capability === MshvCapability.LowerVtlTimerVirt ? -Errno.EOPNOTSUPP : undefined;
  }

  /** VTL2 sees the bare processor's CPUID. */
  cpuid(): boolean {
    return false;
  }

  save(): RmpState {
    return this.#rmp.save();
  }

  restore(state: RmpState): void {
    this.#rmp.restore(state);
  }

  createVp(vp: VpMachine): IsolationVp {
    return new SnpDriverVp(this.#rmp, vp, (ticks, out) => this.#vtl2Processor.referenceTime(ticks, out));
  }
}

/** The machine half of the SNP backing. */
export function snpMachine(): MachineBacking {
  return {
    processorVendor: PROCESSOR_VENDOR,
    exitReasons: [...exitReasonsOf.snp, ...exitReasonsOf.both],
    create: (context) => new SnpMachine(context),
  };
}

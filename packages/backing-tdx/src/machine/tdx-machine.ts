/** The TDX module and the driver's TDX path of one partition. */
import { ExitReason, MshvCapability, exitReasonsOf } from '@paravisor/hcl-protocol';
import type { IsolationMachine, IsolationVp, MachineBacking, MachineContext, VpMachine } from '@paravisor/virt-machine';
import { answerTo } from './capability.js';
import type { TimerCapability } from './capability.js';
import { TdxDriverVp } from './driver.js';
import { TrustDomain } from './trust-domain.js';
import type { TrustDomainState } from './trust-domain.js';

/** CPUID 0x15 of a trust domain: its virtual TSC is a multiple of the 25 MHz crystal (TDX module ABI, "CPUID virtualization"). */
const TSC_LEAF = 0x15;
const CRYSTAL_HZ = 25_000_000;

class TdxMachine implements IsolationMachine {
  /** VTL2 reaches its host by TDG.VP.VMCALL. */
  readonly hostCallReason = ExitReason.tdvmcall;
  readonly #domain: TrustDomain;
  readonly #tscHz: number;
  readonly #timerCapability: TimerCapability;
  readonly #vps: TdxDriverVp[] = [];

  constructor({ vpCount, tscHz }: MachineContext, timerCapability: TimerCapability, l2Vms: number) {
    this.#domain = new TrustDomain(vpCount, l2Vms);
    this.#tscHz = tscHz;
    this.#timerCapability = timerCapability;
  }

  checkExtension(capability: number): number | undefined {
    return capability === MshvCapability.LowerVtlTimerVirt ? answerTo(this.#timerCapability) : undefined;
  }

  /** Leaf 0x15 names the frequency to the nearest 25 MHz, so it is within 12.5 MHz of the true one. */
  cpuid(leaf: number, _subleaf: number, out: Int32Array): boolean {
    if (leaf !== TSC_LEAF) return false;
    out[0] = 1;
    out[1] = Math.round(this.#tscHz / CRYSTAL_HZ);
    out[2] = CRYSTAL_HZ;
    out[3] = 0;
    return true;
  }

  save(): TrustDomainState {
    return this.#domain.save();
  }

  restore(state: TrustDomainState): void {
    this.#domain.restore(state);
  }

  createVp(vp: VpMachine): IsolationVp {
    return new TdxDriverVp(this.#domain, vp, this.#vps);
  }
}

/** The machine half of the TDX backing. `l2Vms`: how many L2 VMs the host has given the trust domain, 1 .. 3. */
export function tdxMachine(timerCapability: TimerCapability, l2Vms = 2): MachineBacking {
  return {
    processorVendor: 'intel',
    exitReasons: [...exitReasonsOf.tdx, ...exitReasonsOf.both],
    create: (context) => new TdxMachine(context, timerCapability, l2Vms),
  };
}

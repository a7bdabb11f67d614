import { HvCpuid } from '@paravisor/hcl-protocol';

/** What the hypervisor leaves depend on. */
export interface HypervisorCpuidParameters {
  /** `HvIsolationType`: EBX 3:0 of leaf 0x4000000C. */
  readonly isolationType: number;
  /** EAX of leaf 0x40000004. */
  readonly enlightenments: number;
  /** Isolation is hidden from the guest: the leaves end before the isolation leaf. */
  readonly hideIsolation: boolean;
  /** Guest VSM is offered to the guest. */
  readonly guestVsm: boolean;
}

/** Last leaf of the range that belongs to the hypervisor interface (TLFS "Hypervisor CPUID Leaf Range"). */
export const HYPERVISOR_LEAF_LAST = 0x400000ff;

/** Four ASCII characters as CPUID spells them. */
const ascii = (text: string): number => text.charCodeAt(0) | (text.charCodeAt(1) << 8) | (text.charCodeAt(2) << 16) | (text.charCodeAt(3) << 24);

const vendor = [ascii('Micr'), ascii('osof'), ascii('t Hv')] as const;
const interfaceSignature = ascii('Hv#1');

/** Leaf 0x40000003 as openvmm answers it for a hardware-isolated partition. */
const features = {
  /** Privileges 31:0: reference counter, SynIC, synthetic timers, APIC MSRs, hypercall MSRs, VP index, reference TSC, guest idle, frequencies. */
  eax: 0xe7e,
  /** Privileges 63:32. */
  ebx: 0x6a8000,
  ebxAccessVsm: 0x10000,
  edx: 0x4018c530,
} as const;

/** EAX and EBX of leaf 0x40000005: virtual and logical processors supported. */
const PROCESSOR_LIMIT = 2048;
/** EBX of leaf 0x40000004: never notify of spin-lock retries. */
const NEVER_NOTIFY_SPIN = -1;
/** EAX bit 0 of leaf 0x4000000C (TLFS "Hypervisor Isolation Configuration"). */
const PARAVISOR_PRESENT = 1;

/** Whether `leaf` is one the hypervisor answers. */
export function isHypervisorLeaf(leaf: number): boolean {
  const unsigned = leaf >>> 0;
  return unsigned >= HvCpuid.VendorAndMax && unsigned <= HYPERVISOR_LEAF_LAST;
}

/**
 * A hypervisor leaf (TLFS "Feature and Interface Discovery", values of openvmm): EAX EBX ECX EDX into `out`. Leaf 0x40000002, the host's version, is
 * not made up here: the caller passes it through.
 */
export function hypervisorLeaf(parameters: HypervisorCpuidParameters, leaf: number, out: Int32Array): void {
  out.fill(0);
  switch (leaf >>> 0) {
    case HvCpuid.VendorAndMax:
      out[0] = parameters.hideIsolation ? HvCpuid.ImplementationLimits : HvCpuid.IsolationConfiguration;
      out[1] = vendor[0];
      out[2] = vendor[1];
      out[3] = vendor[2];
      break;
    case HvCpuid.Interface:
      out[0] = interfaceSignature;
      break;
    case HvCpuid.Features:
      out[0] = features.eax;
      out[1] = features.ebx | (parameters.guestVsm ? features.ebxAccessVsm : 0);
      out[3] = features.edx;
      break;
    case HvCpuid.Enlightenments:
      out[0] = parameters.enlightenments;
      out[1] = NEVER_NOTIFY_SPIN;
      break;
    case HvCpuid.ImplementationLimits:
      out[0] = PROCESSOR_LIMIT;
      out[1] = PROCESSOR_LIMIT;
      break;
    case HvCpuid.IsolationConfiguration:
      if (parameters.hideIsolation) break;
      out[0] = PARAVISOR_PRESENT;
      out[1] = parameters.isolationType & 0xf;
      break;
  }
}

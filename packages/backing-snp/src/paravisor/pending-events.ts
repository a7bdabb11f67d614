/** Events on their way into a lower VTL: event injection and virtual interrupt control of its VMSA (APM volume 2, 15.20 and 15.36.16). */
import { EventInject, EventInjectType, VIntr } from '@paravisor/hcl-protocol';
import type { Vmsa } from '@paravisor/hcl-protocol';
import { Vector } from '../abi/index.js';

const RFLAGS_IF = 1 << 9;

/** Queues an exception for the next entry. `errorCode` below 0 means none. */
export function injectException(vmsa: Vmsa, vector: number, errorCode: number): void {
  const info = EventInject.Valid | (EventInjectType.Exception << EventInject.TypeShift) | vector;
  if (errorCode < 0) vmsa.eventInject.setParts(info, 0);
  else vmsa.eventInject.setParts(info | EventInject.ErrorCodeValid, errorCode);
}

/** Queues an NMI for the next entry, whether or not the guest still handles one: openvmm does not look either. */
export function injectNmi(vmsa: Vmsa): void {
  vmsa.eventInject.setParts(EventInject.Valid | (EventInjectType.Nmi << EventInject.TypeShift) | Vector.Nmi, 0);
}

/**
 * Queues again the event whose delivery the last exit cut off, and forgets it. Software interrupts, and the exceptions of INT3 and INTO, are not: RIP
 * still points at their instruction, which will raise them anew.
 */
export function reinjectInterrupted(vmsa: Vmsa): void {
  const { exitIntInfo, eventInject } = vmsa;
  const info = exitIntInfo.lo;
  if ((info & EventInject.Valid) === 0) return;
  const type = (info & EventInject.TypeMask) >>> EventInject.TypeShift;
  const vector = info & EventInject.VectorMask;
  const isSoftware = type === EventInjectType.Software || (type === EventInjectType.Exception && (vector === Vector.Breakpoint || vector === Vector.Overflow));
  if (!isSoftware) eventInject.set(exitIntInfo);
  exitIntInfo.setParts(0, 0);
}

/** Offers an interrupt that the processor itself delivers once the guest can take it. */
export function offerVirtualInterrupt(vmsa: Vmsa, vector: number): void {
  const { lo, hi } = vmsa.vIntrCntrl;
  const control = (lo & ~(VIntr.PriorityMask | VIntr.IgnoreTpr)) | ((vector >>> 4) << VIntr.PriorityShift) | VIntr.Irq;
  vmsa.vIntrCntrl.setParts(control, (hi & ~VIntr.HighVectorMask) | vector);
}

/** Whether an interrupt is on offer. */
export const isInterruptOffered = (vmsa: Vmsa): boolean => (vmsa.vIntrCntrl.lo & VIntr.Irq) !== 0;

/**
 * Whether an NMI, or an interrupt above the APIC's processor priority `ppr`, waits for the guest (openvmm's SNP backing, `is_interrupt_pending`). An
 * interrupt shadow hides an interrupt either way; RFLAGS.IF only with `checkRflags`.
 */
export function isInterruptPending(vmsa: Vmsa, ppr: number, checkRflags: boolean): boolean {
  const event = vmsa.eventInject.lo;
  if ((event & EventInject.Valid) !== 0 && (event & EventInject.TypeMask) >>> EventInject.TypeShift === EventInjectType.Nmi) return true;
  if (checkRflags && (vmsa.rflags.lo & RFLAGS_IF) === 0) return false;
  const control = vmsa.vIntrCntrl.lo;
  if ((control & VIntr.Shadow) !== 0 || (control & VIntr.Irq) === 0) return false;
  return (control & VIntr.PriorityMask) >>> VIntr.PriorityShift > ppr >>> 4;
}

export function withdrawInterrupt(vmsa: Vmsa): void {
  vmsa.vIntrCntrl.setParts(vmsa.vIntrCntrl.lo & ~VIntr.Irq, vmsa.vIntrCntrl.hi);
}

/** Ends the shadow of STI or MOV SS: the instruction it covered is finished. */
export function clearInterruptShadow(vmsa: Vmsa): void {
  vmsa.vIntrCntrl.setParts(vmsa.vIntrCntrl.lo & ~VIntr.Shadow, vmsa.vIntrCntrl.hi);
}

/** Lets the host run the VMSA. */
export function clearGuestBusy(vmsa: Vmsa): void {
  vmsa.vIntrCntrl.setParts(vmsa.vIntrCntrl.lo, vmsa.vIntrCntrl.hi & ~VIntr.HighGuestBusy);
}

/** Keeps the untrusted host from running the VMSA while it is looked at. True when it was busy already: the exit was not an automatic one. */
export function testAndSetGuestBusy(vmsa: Vmsa): boolean {
  const { lo, hi } = vmsa.vIntrCntrl;
  vmsa.vIntrCntrl.setParts(lo, hi | VIntr.HighGuestBusy);
  return (hi & VIntr.HighGuestBusy) !== 0;
}

/** The VMSA a lower VTL starts with (openvmm `init_vmsa`; reset values of APM table 14-1). */
import { SevFeature, SvmExit, U64, VIntr, VmsaSelector } from '@paravisor/hcl-protocol';
import type { Vmsa } from '@paravisor/hcl-protocol';
import type { InitialRegisters } from '@paravisor/virt-core';
import { DR6_RESET, DR7_RESET, Efer, VMPL_OF_VTL, XCR0_X87, dplOf, segmentSelectors, vmsaAttributesOf } from '../abi/index.js';
import { gprFields } from './guest-registers.js';

/** Without secure AVIC: #VC exits reflected here, interrupts by virtual interrupt control. */
const SEV_FEATURES = SevFeature.Snp | SevFeature.ReflectVc | SevFeature.AlternateInjection | SevFeature.DebugSwap;

const MXCSR_RESET = 0x1f80;
const X87_CONTROL_RESET = 0x40;

/**
 * Gives a VMSA its start state: what hardware wants of it, and the registers given. Guest-busy keeps the host from running it until the next run. Events on
 * their way are dropped; what no `InitialRegisters` has stays, as with INIT (APM table 14-1): SYSCALL and SYSENTER MSRs, TSC_AUX, XCR0, x87 and SSE state.
 */
export function initializeVmsa(vmsa: Vmsa, vtl: number, registers: InitialRegisters): void {
  vmsa.vmpl = VMPL_OF_VTL[vtl]!;
  vmsa.sevFeatures.setParts(SEV_FEATURES, 0);
  vmsa.vIntrCntrl.setParts(0, VIntr.HighGuestBusy);
  vmsa.guestErrorCode.setParts(SvmExit.Intr, 0);
  for (const field of [vmsa.eventInject, vmsa.exitIntInfo, vmsa.exitInfo1, vmsa.exitInfo2, vmsa.nextRip, vmsa.cr2, ...vmsa.dr0to3]) field.setParts(0, 0);
  // Another address space: no processor holds its translations.
  vmsa.pcpuId.setParts(0, 0);
  if ((vmsa.xcr0.lo & XCR0_X87) === 0) resetFloatingPoint(vmsa);
  vmsa.dr6.setParts(DR6_RESET, 0);
  vmsa.dr7.setParts(DR7_RESET, 0);

  const value = new U64();
  for (const [index, field] of gprFields(vmsa).entries()) field.set(value.setBigInt(registers.gpr[index]!));
  vmsa.rip.set(value.setBigInt(registers.rip));
  vmsa.rflags.set(value.setBigInt(registers.rflags));
  vmsa.cr0.set(value.setBigInt(registers.cr0));
  vmsa.cr3.set(value.setBigInt(registers.cr3));
  vmsa.cr4.set(value.setBigInt(registers.cr4));
  value.setBigInt(registers.efer);
  vmsa.efer.setParts(value.lo | Efer.Svme, value.hi);
  vmsa.pat.set(value.setBigInt(registers.pat));

  const segments = registers.segments.map((segment, index) => ({ ...segment, place: segmentSelectors[index]!, attributes: vmsaAttributesOf(segment.attributes) }));
  const tables = [
    { ...registers.gdtr, place: VmsaSelector.Gdtr, selector: 0, attributes: 0 },
    { ...registers.idtr, place: VmsaSelector.Idtr, selector: 0, attributes: 0 },
  ];
  for (const { place, selector, attributes, limit, base } of [...segments, ...tables]) {
    const to = vmsa.selectors[place]!;
    to.selector = selector;
    to.attributes = attributes;
    to.limit = limit;
    to.base.set(value.setBigInt(base));
  }
  vmsa.cpl = dplOf(vmsa.selectors[VmsaSelector.Ss]!.attributes);
}

/** The first time: XCR0 has x87 state alone, and the control words are those of power-on (APM table 14-1). */
function resetFloatingPoint(vmsa: Vmsa): void {
  vmsa.xcr0.setParts(XCR0_X87, 0);
  vmsa.mxcsr = MXCSR_RESET;
  vmsa.x87Fcw = X87_CONTROL_RESET;
}

/** Local APIC numbers (Intel SDM volume 3, chapter 11). */

/** Reset address of the xAPIC page. */
export const APIC_DEFAULT_BASE = 0xfee00000;

/** Registers by x2APIC index: MSR 0x800 + index, xAPIC offset index × 16. */
export const ApicRegister = {
  Id: 0x02,
  Version: 0x03,
  Tpr: 0x08,
  Apr: 0x09,
  Ppr: 0x0a,
  Eoi: 0x0b,
  RemoteRead: 0x0c,
  Ldr: 0x0d,
  Dfr: 0x0e,
  Svr: 0x0f,
  Isr0: 0x10,
  Tmr0: 0x18,
  Irr0: 0x20,
  Esr: 0x28,
  LvtCmci: 0x2f,
  Icr0: 0x30,
  Icr1: 0x31,
  LvtTimer: 0x32,
  LvtThermal: 0x33,
  LvtPmc: 0x34,
  LvtLint0: 0x35,
  LvtLint1: 0x36,
  LvtError: 0x37,
  TimerInitialCount: 0x38,
  TimerCurrentCount: 0x39,
  TimerDivide: 0x3e,
  SelfIpi: 0x3f,
} as const;

export const X2APIC_MSR_BASE = 0x800;
export const X2APIC_MSR_LAST = 0x83f;
export const MSR_APIC_BASE = 0x1b;

/** IA32_APIC_BASE, low half. */
export const ApicBase = { Bsp: 1 << 8, X2apic: 1 << 10, Enable: 1 << 11 } as const;

/** Spurious-interrupt vector register. */
export const Svr = { VectorMask: 0xff, SoftwareEnable: 1 << 8 } as const;

/** Local vector table entries. */
export const Lvt = { VectorMask: 0xff, DeliveryShift: 8, DeliveryMask: 7 << 8, DeliveryPending: 1 << 12, LevelTriggered: 1 << 15, Masked: 1 << 16, TimerModeMask: 3 << 17, TimerPeriodic: 1 << 17 } as const;

/** Interrupt command register, low half. */
export const Icr = {
  VectorMask: 0xff,
  DeliveryShift: 8,
  DeliveryMask: 7 << 8,
  LogicalDestination: 1 << 11,
  Pending: 1 << 12,
  Assert: 1 << 14,
  LevelTriggered: 1 << 15,
  ShorthandShift: 18,
  ShorthandMask: 3 << 18,
} as const;
export const DeliveryMode = { Fixed: 0, LowestPriority: 1, Smi: 2, Nmi: 4, Init: 5, StartUp: 6, ExtInt: 7 } as const;
export const Shorthand = { None: 0, Self: 1, AllIncludingSelf: 2, AllExcludingSelf: 3 } as const;

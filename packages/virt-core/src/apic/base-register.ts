import { ApicBase, APIC_DEFAULT_BASE, U64, restoreU64, saveU64 } from '@paravisor/hcl-protocol';
import type { ReadonlyU64 } from '@paravisor/hcl-protocol';

const TWO_32 = 4294967296;
const PAGE_BYTES = 4096;
/** Bits that must be zero: 7:0 and 9, and 63:36. */
const RESERVED_LOW = 0x2ff;
const RESERVED_HIGH = ~0xf;
const PAGE_LOW = 0xfffff000 | 0;

/** IA32_APIC_BASE (SDM volume 3, 11.4.4 and 11.12.1): mode and xAPIC page. */
export class ApicBaseRegister {
  readonly #value = new U64();
  readonly #bsp: boolean;
  readonly #x2apicCapable: boolean;

  constructor(bsp: boolean, x2apicCapable: boolean) {
    this.#bsp = bsp;
    this.#x2apicCapable = x2apicCapable;
    this.reset();
  }

  get value(): ReadonlyU64 {
    return this.#value;
  }

  get enabled(): boolean {
    return (this.#value.lo & ApicBase.Enable) !== 0;
  }

  get x2apic(): boolean {
    return (this.#value.lo & ApicBase.X2apic) !== 0;
  }

  /** Enabled and not in x2APIC mode: registers are at `pageNumber`. */
  get xapic(): boolean {
    return (this.#value.lo & (ApicBase.Enable | ApicBase.X2apic)) === ApicBase.Enable;
  }

  /** Bits 35:12, the frame number of the xAPIC page. */
  get pageNumber(): number {
    return ((this.#value.hi & ~RESERVED_HIGH) * TWO_32 + ((this.#value.lo & PAGE_LOW) >>> 0)) / PAGE_BYTES;
  }

  /**
   * WRMSR. False for #GP: reserved bits, x2APIC without enable or where there is none, and the way from x2APIC to xAPIC without disabling between.
   * The BSP flag keeps its value.
   */
  write(value: ReadonlyU64): boolean {
    if ((value.lo & RESERVED_LOW) !== 0 || (value.hi & RESERVED_HIGH) !== 0) return false;
    const enable = (value.lo & ApicBase.Enable) !== 0;
    const x2apic = (value.lo & ApicBase.X2apic) !== 0;
    if (x2apic && (!enable || !this.#x2apicCapable)) return false;
    if (this.x2apic && enable && !x2apic) return false;
    this.#value.setParts((value.lo & ~ApicBase.Bsp) | (this.#bsp ? ApicBase.Bsp : 0), value.hi);
    return true;
  }

  save(): string {
    return saveU64(this.#value);
  }

  restore(state: string): void {
    restoreU64(this.#value, state);
  }

  reset(): void {
    this.#value.setParts(APIC_DEFAULT_BASE | ApicBase.Enable | (this.#bsp ? ApicBase.Bsp : 0), 0);
  }
}

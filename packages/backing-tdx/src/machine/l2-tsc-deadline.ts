/** TDVPS.TSC_DEADLINE of one L2 VM, and the VMX-preemption timer made from it (TD partitioning, "L2 VM TSC deadline"). */
import { TdxStatus, U64, restoreU64, saveU64 } from '@paravisor/hcl-protocol';
import type { ReadonlyU64 } from '@paravisor/hcl-protocol';
import type { TscConversion } from './tsc-conversion.js';

/** No deadline. */
const ALL_ONES = -1;
/** The preemption timer counts when bit `rate` of the native TSC changes: IA32_VMX_MISC bits 4:0, 5 on today's server processors. */
export const PREEMPTION_TIMER_RATE = 5;
const PREEMPTION_TIMER_MAXIMUM = 2 ** 32 - 1;
const TWO_32 = 2 ** 32;

/** What `preemptionTimer` gives when there is no deadline: the timer is off. */
export const TIMER_OFF = -1;

/** What `L2TscDeadline.save` gives. */
export type L2TscDeadlineState = { readonly field: string; readonly shadow: string };

/** A deadline field with its shadow in native TSC. A failed write leaves both as they were. */
export class L2TscDeadline {
  readonly #conversion: TscConversion;
  /** Native ticks of one count of the timer. */
  readonly #unit: number;
  readonly #field = new U64().setParts(ALL_ONES, ALL_ONES);
  readonly #shadow = new U64();
  readonly #converted = new U64();
  readonly #ahead = new U64();

  constructor(conversion: TscConversion, rate: number = PREEMPTION_TIMER_RATE) {
    this.#conversion = conversion;
    this.#unit = 2 ** rate;
  }

  /** The value last written with success; all ones after reset. */
  get value(): ReadonlyU64 {
    return this.#field;
  }

  /** The value is not all ones. */
  get isArmed(): boolean {
    return (this.#field.lo & this.#field.hi) !== ALL_ONES;
  }

  /** Native TSC of the deadline; meaningful while `isArmed`. */
  get shadow(): ReadonlyU64 {
    return this.#shadow;
  }

  save(): L2TscDeadlineState {
    return { field: saveU64(this.#field), shadow: saveU64(this.#shadow) };
  }

  restore({ field, shadow }: L2TscDeadlineState): void {
    restoreU64(this.#field, field);
    restoreU64(this.#shadow, shadow);
  }

  /**
   * TDG.VP.WR. Returns `TdxStatus.Success`, or OperandInvalid when the inverse of the TSC formula overflows, gives 0, or lands more than 2^63 native
   * ticks ahead.
   */
  write(value: ReadonlyU64, virtualNow: ReadonlyU64, nativeNow: ReadonlyU64): number {
    if (value.lo === ALL_ONES && value.hi === ALL_ONES) {
      this.#field.set(value);
      return TdxStatus.Success;
    }
    const shadow = this.#converted;
    if (!shadow.set(virtualNow).isBelow(value)) {
      shadow.set(nativeNow);
    } else {
      if (!this.#conversion.toNative(value, shadow) || shadow.isZero()) return TdxStatus.OperandInvalid;
      const ahead = this.#ahead.set(shadow).sub(nativeNow);
      if (ahead.hi < 0 && !(ahead.hi === -0x80000000 && ahead.lo === 0)) return TdxStatus.OperandInvalid;
    }
    this.#field.set(value);
    this.#shadow.set(shadow);
    return TdxStatus.Success;
  }

  /**
   * The preemption timer at an entry: `TIMER_OFF`; 0 when the deadline has passed, by the nearer of both differences; else the native ticks to go in
   * units of 2^rate, rounded down, at most 2^32 − 1. Both the rounding and the clamp make expiries early.
   */
  preemptionTimer(nativeNow: ReadonlyU64): number {
    if (!this.isArmed) return TIMER_OFF;
    const ahead = this.#ahead.set(nativeNow);
    if (!ahead.isBefore(this.#shadow)) return 0;
    ahead.set(this.#shadow).sub(nativeNow);
    const ticks = ((ahead.hi >>> 0) * TWO_32 + (ahead.lo >>> 0)) / this.#unit;
    return Math.min(Math.floor(ticks), PREEMPTION_TIMER_MAXIMUM);
  }

  /**
   * Native TSC at which a timer started at `nativeNow` reaches 0. Its first decrement comes at the next change of bit `rate`, so after up to 2^rate
   * ticks or as few as one.
   */
  expiry(nativeNow: ReadonlyU64, timer: number, out: U64): void {
    const unit = this.#unit;
    out.setParts(nativeNow.lo & ~(unit - 1), nativeNow.hi).add(this.#ahead.setNumber(timer * unit));
  }
}

/** What the mshv_vtl driver keeps per CPU about the L2 VMs' TSC deadlines (OHCL-Linux-Kernel PR 107). */
import { L2_VM_COUNT, U64, restoreU64, saveU64 } from '@paravisor/hcl-protocol';
import type { ReadonlyU64 } from '@paravisor/hcl-protocol';

/** TDG.VP.WR of TSC_DEADLINE; the driver ignores its status. */
export type WriteDeadline = (vm: number, deadline: ReadonlyU64) => void;

const ALL_ONES = -1;

/**
 * User mode speaks SDM style: 0 disarms, all ones is armed, practically never. The module's 0 has passed, and its all ones is disarmed. So 0 becomes
 * all ones and all ones one less.
 */
export function moduleDeadline(sdmDeadline: ReadonlyU64, out: U64): void {
  const { lo, hi } = sdmDeadline;
  if ((lo | hi) === 0) out.setParts(ALL_ONES, ALL_ONES);
  else if (lo === ALL_ONES && hi === ALL_ONES) out.setParts(ALL_ONES - 1, ALL_ONES);
  else out.setParts(lo, hi);
}

/** Whether a deadline in the module's style is armed. */
export const isArmed = (deadline: ReadonlyU64): boolean => (deadline.lo & deadline.hi) !== ALL_ONES;

const disarmed: ReadonlyU64 = { lo: ALL_ONES, hi: ALL_ONES };

/** What `DeadlineRegisters.save` gives, by L2 VM. */
export type DeadlineRegistersState = { readonly last: readonly string[]; readonly expired: readonly number[] };

/** The last value written and the expired flag of each L2 VM, in the module's style. */
export class DeadlineRegisters {
  readonly #write: WriteDeadline;
  readonly #last = Array.from({ length: L2_VM_COUNT + 1 }, () => new U64());
  readonly #expired = new Uint8Array(L2_VM_COUNT + 1);
  readonly #mapped = new U64();

  /** Start-up: disarms every L2 VM, present or not. */
  constructor(write: WriteDeadline) {
    this.#write = write;
    for (let vm = 1; vm <= L2_VM_COUNT; vm++) {
      this.#last[vm]!.set(disarmed);
      write(vm, disarmed);
    }
  }

  save(): DeadlineRegistersState {
    return { last: this.#last.map(saveU64), expired: [...this.#expired] };
  }

  restore({ last, expired }: DeadlineRegistersState): void {
    for (const [vm, text] of last.entries()) restoreU64(this.#last[vm]!, text);
    this.#expired.set(expired);
  }

  /** The value last written for `vm`. */
  last(vm: number): ReadonlyU64 {
    return this.#last[vm]!;
  }

  hasExpired(vm: number): boolean {
    return this.#expired[vm] !== 0;
  }

  /** An exit 52 of `vm`, real or faked. */
  markExpired(vm: number): void {
    this.#expired[vm] = 1;
  }

  /** User mode asks for a deadline, in SDM style. */
  update(vm: number, sdmDeadline: ReadonlyU64): void {
    moduleDeadline(sdmDeadline, this.#mapped);
    this.#set(vm, this.#mapped);
  }

  /** Nothing new is asked for: a deadline that has expired must not exit for ever. */
  disarmExpired(vm: number): void {
    if (this.hasExpired(vm)) this.#set(vm, disarmed);
  }

  /** Any write forgets the expiry, and is skipped when the module has the value already: then the stale deadline stays in force. */
  #set(vm: number, deadline: ReadonlyU64): void {
    this.#expired[vm] = 0;
    const last = this.#last[vm]!;
    if (last.equals(deadline)) return;
    last.set(deadline);
    this.#write(vm, deadline);
  }
}

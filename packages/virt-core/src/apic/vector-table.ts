import { ApicRegister, Lvt, StateError } from '@paravisor/hcl-protocol';

/** Registers of the local vector table, and the bits a write keeps (SDM volume 3, 11.5.1). The timer has no TSC-deadline mode. */
const entries = [
  { register: ApicRegister.LvtTimer, mask: 0x300ff },
  { register: ApicRegister.LvtThermal, mask: 0x107ff },
  { register: ApicRegister.LvtPmc, mask: 0x107ff },
  { register: ApicRegister.LvtLint0, mask: 0x1a7ff },
  { register: ApicRegister.LvtLint1, mask: 0x1a7ff },
  { register: ApicRegister.LvtError, mask: 0x100ff },
] as const;
const TIMER = 0;

function indexOf(register: number): number {
  for (let i = 0; i < entries.length; i++) if (entries[i]!.register === register) return i;
  return -1;
}

/** The local vector table: which vector each of the APIC's own sources raises, and whether it is masked. */
export class LocalVectorTable {
  readonly #values = new Int32Array(entries.length);

  constructor() {
    this.maskAll();
  }

  /** The timer's entry. */
  get timer(): number {
    return this.#values[TIMER]!;
  }

  /** An entry by register number; null when the register is none. */
  read(register: number): number | null {
    const index = indexOf(register);
    return index < 0 ? null : this.#values[index]!;
  }

  /** False when the register is no entry. While the APIC is software-disabled an entry stays masked. */
  write(register: number, value: number, softwareEnabled: boolean): boolean {
    const index = indexOf(register);
    if (index < 0) return false;
    this.#values[index] = (value & entries[index]!.mask) | (softwareEnabled ? 0 : Lvt.Masked);
    return true;
  }

  maskAll(): void {
    for (let i = 0; i < entries.length; i++) this.#values[i]! |= Lvt.Masked;
  }

  save(): readonly number[] {
    return [...this.#values];
  }

  /** @throws {StateError} for another number of entries. */
  restore(state: readonly number[]): void {
    if (state.length !== entries.length) throw new StateError(`${entries.length} entries of the local vector table were to be restored, and ${state.length} are there`);
    this.#values.set(state);
  }

  reset(): void {
    this.#values.fill(Lvt.Masked);
  }
}

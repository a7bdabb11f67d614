import type { Plain, ReadonlyU64, U64 } from '@paravisor/hcl-protocol';
import type { Chipset } from '@paravisor/virt-core';

/** A device on the memory bus. `first` and `last` bound the bytes it claims, both included. */
export interface ChipsetDevice {
  readonly first: number;
  readonly last: number;
  /** `out` comes filled with all ones of `size` bytes. */
  read(gpa: number, size: number, out: U64): void;
  write(gpa: number, size: number, value: ReadonlyU64): void;
  /** A device with state of its own has both: `restore` gives a freshly made device of the same kind what `save` told. */
  save?(): Plain;
  restore?(state: Plain): void;
}

/** A write that no device claimed, kept for diagnosis. */
export type UnclaimedWrite = {
  readonly space: 'mmio' | 'port';
  readonly address: number;
  readonly size: number;
};

export type DeviceBusState = {
  /** In the order in which they were added; null for a device without state. */
  readonly devices: readonly Plain[];
  readonly unclaimed: readonly UnclaimedWrite[];
};

/** How many unclaimed writes are kept: a guest in a loop must not fill the host's memory. */
const UNCLAIMED_KEPT = 64;

/** Routes accesses to devices. What nobody claims reads all ones; writes to it are dropped and noted. */
export class DeviceBus implements Chipset {
  readonly #devices: ChipsetDevice[] = [];
  readonly #unclaimed: UnclaimedWrite[] = [];

  add(device: ChipsetDevice): void {
    this.#devices.push(device);
  }

  /** The first writes that nobody claimed, oldest first. */
  get unclaimedWrites(): readonly UnclaimedWrite[] {
    return this.#unclaimed;
  }

  save(): DeviceBusState {
    return { devices: this.#devices.map((device) => device.save?.() ?? null), unclaimed: this.#unclaimed.map((write) => ({ ...write })) };
  }

  /** The same devices have been added. */
  restore({ devices, unclaimed }: DeviceBusState): void {
    for (const [index, device] of this.#devices.entries()) device.restore?.(devices[index]!);
    this.#unclaimed.splice(0, this.#unclaimed.length, ...unclaimed);
  }

  readMmio(gpa: number, size: number, out: U64): void {
    out.setParts(size >= 4 ? -1 : (1 << (8 * size)) - 1, size === 8 ? -1 : 0);
    this.#deviceAt(gpa)?.read(gpa, size, out);
  }

  writeMmio(gpa: number, size: number, value: ReadonlyU64): void {
    const device = this.#deviceAt(gpa);
    if (device) device.write(gpa, size, value);
    else this.#note('mmio', gpa, size);
  }

  readPort(_port: number, size: number): number {
    return size === 4 ? -1 : (1 << (8 * size)) - 1;
  }

  writePort(port: number, size: number): void {
    this.#note('port', port, size);
  }

  #deviceAt(gpa: number): ChipsetDevice | undefined {
    return this.#devices.find((device) => gpa >= device.first && gpa <= device.last);
  }

  #note(space: 'mmio' | 'port', address: number, size: number): void {
    if (this.#unclaimed.length < UNCLAIMED_KEPT) this.#unclaimed.push({ space, address, size });
  }
}

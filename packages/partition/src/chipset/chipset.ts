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

/** A device on the port bus. `ports` bound what it claims, both ends included. */
export interface PortDevice {
  readonly ports: readonly (readonly [first: number, last: number])[];
  /** True for the 8-bit parts of an ISA bus: a wider access reaches them as one of each byte's port, the lowest first. */
  readonly byteWide: boolean;
  /** The value, `size` bytes of it, as an int32. */
  readPort(port: number, size: number): number;
  writePort(port: number, size: number, value: number): void;
  /** As a `ChipsetDevice`'s. */
  save?(): Plain;
  restore?(state: Plain): void;
}

/** What can be added to a bus; one device may have memory and ports. */
export type BusDevice = ChipsetDevice | PortDevice;

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
  readonly #devices: BusDevice[] = [];
  readonly #memory: ChipsetDevice[] = [];
  readonly #ports: PortDevice[] = [];
  readonly #unclaimed: UnclaimedWrite[] = [];

  add(device: BusDevice): void {
    this.#devices.push(device);
    if ('first' in device) this.#memory.push(device);
    if ('ports' in device) this.#ports.push(device);
  }

  /** How many devices there are. */
  get size(): number {
    return this.#devices.length;
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

  readPort(port: number, size: number): number {
    const device = this.#portDeviceAt(port);
    if (size > 1 && (device === undefined || device.byteWide)) return this.#readBytes(port, size);
    return device === undefined ? 0xff : device.readPort(port, size);
  }

  writePort(port: number, size: number, value: number): void {
    const device = this.#portDeviceAt(port);
    if (device === undefined) this.#note('port', port, size);
    else if (size === 1 || !device.byteWide) device.writePort(port, size, size === 1 ? value & 0xff : size === 2 ? value & 0xffff : value);
    else for (let i = 0; i < size; i++) this.writePort(port + i, 1, (value >>> (8 * i)) & 0xff);
  }

  #readBytes(port: number, size: number): number {
    let value = 0;
    for (let i = 0; i < size; i++) {
      const device = this.#portDeviceAt(port + i);
      value |= (device?.byteWide === true ? device.readPort(port + i, 1) & 0xff : 0xff) << (8 * i);
    }
    return value;
  }

  #deviceAt(gpa: number): ChipsetDevice | undefined {
    return this.#memory.find((device) => gpa >= device.first && gpa <= device.last);
  }

  #portDeviceAt(port: number): PortDevice | undefined {
    return this.#ports.find(({ ports }) => ports.some(([first, last]) => port >= first && port <= last));
  }

  #note(space: 'mmio' | 'port', address: number, size: number): void {
    if (this.#unclaimed.length < UNCLAIMED_KEPT) this.#unclaimed.push({ space, address, size });
  }
}

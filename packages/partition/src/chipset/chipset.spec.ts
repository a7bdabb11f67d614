import { U64 } from '@paravisor/hcl-protocol';
import { describe, expect, it } from 'vitest';
import { DeviceBus } from './chipset.js';

describe('DeviceBus', () => {
  it('reads all ones of the access size where nobody claims (tmk_vmm)', () => {
    const bus = new DeviceBus();
    const out = new U64();
    const ones = [1, 2, 4, 8].map((size) => (bus.readMmio(0xe0000000, size, out), out.toBigInt()));
    expect(ones).toEqual([0xffn, 0xffffn, 0xffffffffn, 0xffffffffffffffffn]);
    expect([1, 2, 4].map((size) => bus.readPort(0x80, size))).toEqual([0xff, 0xffff, -1]);
  });

  it('drops and notes unclaimed writes, a bounded number of them', () => {
    const bus = new DeviceBus();
    for (let i = 0; i < 1000; i++) bus.writePort(0x80, 1, 0);
    bus.writeMmio(0xe0000000, 4, new U64());
    expect(bus.unclaimedWrites.length).toBe(64);
    expect(bus.unclaimedWrites[0]).toEqual({ space: 'port', address: 0x80, size: 1 });
  });

  it('hands a claimed address to its device, bounds included', () => {
    const bus = new DeviceBus();
    const seen: number[] = [];
    bus.add({ first: 0x1000, last: 0x1fff, read: (_gpa, _size, out) => void out.setNumber(7), write: (gpa) => void seen.push(gpa) });
    const out = new U64();
    bus.readMmio(0x1fff, 1, out);
    expect(out.toNumber()).toBe(7);
    for (const gpa of [0xfff, 0x1000, 0x1fff, 0x2000]) bus.writeMmio(gpa, 4, out);
    expect(seen).toEqual([0x1000, 0x1fff]);
  });

  it('splits a wide port access for 8-bit parts, and only for these', () => {
    const bus = new DeviceBus();
    const seen: string[] = [];
    const part = (first: number, byteWide: boolean) => ({
      ports: [[first, first + 1]] as const,
      byteWide,
      readPort: (port: number) => port & 0xff,
      writePort: (port: number, size: number, value: number) => void seen.push(`${port.toString(16)}.${size}=${value.toString(16)}`),
    });
    bus.add(part(0x20, true));
    bus.add(part(0x30, false));
    expect([bus.readPort(0x20, 1), bus.readPort(0x20, 2), bus.readPort(0x20, 4), bus.readPort(0x30, 4)]).toEqual([0x20, 0x2120, 0xffff2120 | 0, 0x30]);
    bus.writePort(0x20, 2, 0x1234);
    bus.writePort(0x30, 2, 0x51234);
    expect(seen).toEqual(['20.1=34', '21.1=12', '30.2=1234']);
  });
});

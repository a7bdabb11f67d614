import { U64 } from '@paravisor/hcl-protocol';
import type { SynicPorts } from '@paravisor/virt-core';
import { beforeEach, describe, expect, it } from 'vitest';
import type { Board } from './board.js';
import { DeviceBus } from './chipset.js';
import { pcChipset, testDeviceNames } from './pc.js';

const TSC_HZ = 2_000_000_000;
const LEVEL = 1 << 15;
const MASKED = 1 << 16;

let log: string[];
let bus: DeviceBus;
let due: { tick: number; happen: (tick: number) => void }[];
let now: number;
let endLevel: (vector: number) => void;

beforeEach(() => {
  log = [];
  due = [];
  now = 0;
  bus = new DeviceBus();
  const synicPorts = {
    remove: (connection: number) => void log.push(`remove ${connection}`),
    addMessagePort: (connection: number, port: object) => void log.push(`message ${connection} ${JSON.stringify(port)}`),
    addEventPort: (connection: number, port: object) => void log.push(`event ${connection} ${JSON.stringify(port)}`),
  } as unknown as SynicPorts;
  const board: Board = {
    tscHz: TSC_HZ,
    get now() {
      return now;
    },
    vps: 2,
    schedule(tick, happen) {
      const event = { tick, happen };
      due.push(event);
      return () => void (due = due.filter((other) => other !== event));
    },
    signalMsi: (address, data) => void log.push(`msi ${address.toString(16)} ${data.toString(16)}`),
    onLevelEoi: (listener) => void (endLevel = listener),
    end: ({ kind, exitStatus }) => void log.push(`${kind} ${exitStatus}`),
    synic: { ports: () => synicPorts, signalSint: (vp, sint) => void log.push(`sint ${vp}.${sint}`) },
  };
  for (const device of pcChipset({ serial: () => {}, testDevices: testDeviceNames })(board)) bus.add(device);
});

const cell = new U64();
function ioApic(register: number, value?: number): number {
  bus.writeMmio(0xfec00000, 4, cell.setNumber(register));
  if (value !== undefined) bus.writeMmio(0xfec00010, 4, cell.setParts(value, 0));
  bus.readMmio(0xfec00010, 4, cell);
  return cell.lo;
}
const line = (pin: number, level: number): void => bus.writePort(0x2000 + pin, 1, level);

describe('I/O APIC (82093AA; SDM volume 3, 11.11)', () => {
  it('has 24 masked entries, an id and a version', () => {
    expect([ioApic(1), ioApic(0x10), ioApic(0x3e), ioApic(0, 0x0f000000)]).toEqual([0x00170011, MASKED, MASKED, 0x0f000000]);
  });

  it('sends a message at a rising edge, to the destination of its entry; a masked pin forgets the edge', () => {
    line(5, 1);
    ioApic(0x1b, 3 << 24);
    ioApic(0x1a, 0x931);
    line(5, 1);
    line(5, 0);
    line(5, 1);
    expect(log).toEqual(['msi fee03004 131']);
  });

  it('sends a level once until its end, and again while the line is high', () => {
    ioApic(0x1a, 0x42 | LEVEL | MASKED);
    line(5, 1);
    expect(log).toEqual([]);
    ioApic(0x1a, 0x42 | LEVEL);
    line(5, 1);
    expect([log.length, ioApic(0x1a)]).toEqual([1, 0x42 | LEVEL | (1 << 14)]);
    endLevel(0x42);
    expect(log).toEqual(['msi fee00000 8042', 'msi fee00000 8042']);
    line(5, 0);
    endLevel(0x42);
    expect([log.length, ioApic(0x1a)]).toEqual([2, 0x42 | LEVEL]);
  });

  it('has ISA interrupt 0 at pin 2', () => {
    ioApic(0x14, 0x55);
    line(0, 1);
    expect(log).toEqual(['msi fee00000 55']);
  });
});

describe('8254', () => {
  it('channel 2 counts while port 0x61 gates it, and shows its output there (8254, mode 0)', () => {
    bus.writePort(0x61, 1, 1);
    bus.writePort(0x43, 1, 0xb0);
    bus.writePort(0x42, 1, 0xe8);
    bus.writePort(0x42, 1, 0x03);
    expect(bus.readPort(0x61, 1) & 0x20).toBe(0);
    now = Math.ceil((1000 / 1193182) * TSC_HZ) + 10;
    expect(bus.readPort(0x61, 1) & 0x21).toBe(0x21);
  });

  it('channel 0 in mode 2 interrupts each period, and its count can be latched', () => {
    ioApic(0x14, 0x20);
    bus.writePort(0x43, 1, 0x34);
    bus.writePort(0x40, 1, 0x00);
    bus.writePort(0x40, 1, 0x10);
    for (let n = 1; n <= 3; n++) {
      const [event] = due.splice(0);
      expect(event!.tick).toBe(Math.ceil(((n * 4096) / 1193182) * TSC_HZ));
      now = event!.tick;
      event!.happen(now);
    }
    expect(log).toEqual(Array(3).fill('msi fee00000 20'));
    now += Math.ceil((96.5 / 1193182) * TSC_HZ);
    bus.writePort(0x43, 1, 0x00);
    const latched = bus.readPort(0x40, 1) | (bus.readPort(0x40, 1) << 8);
    expect(latched).toBe(4000);
  });
});

it('the 8259s keep their masks behind the initialization words', () => {
  for (const [port, value] of [[0x20, 0x11], [0x21, 0x20], [0x21, 4], [0x21, 1], [0x21, 0xfb], [0xa1, 0xff], [0x20, 0x20]] as const) bus.writePort(port, 1, value);
  expect([bus.readPort(0x21, 1), bus.readPort(0xa1, 1), bus.readPort(0x20, 1)]).toEqual([0xfb, 0xff, 0]);
});

it('the clock starts at 2000-01-01 and goes on in virtual time, BCD or binary (MC146818A)', () => {
  const cmos = (index: number): number => (bus.writePort(0x70, 1, index), bus.readPort(0x71, 1));
  now = 3661 * TSC_HZ;
  expect([4, 2, 0, 7, 8, 9, 0x32, 6, 13].map(cmos)).toEqual([1, 1, 1, 1, 1, 0, 0x20, 7, 0x80]);
  bus.writePort(0x70, 1, 11);
  bus.writePort(0x71, 1, 0x06);
  now = 13 * 3600 * TSC_HZ;
  expect([cmos(4), cmos(0x32)]).toEqual([13, 20]);
});

describe('QEMU’s test devices', () => {
  it('isa-debug-exit ends with value × 2 + 1', () => {
    bus.writePort(0xf4, 4, 0);
    bus.writePort(0xf4, 1, 0x105);
    expect(log).toEqual(['passed 1', 'failed 11']);
  });

  it('pc-testdev keeps data in every width, on ports and in memory', () => {
    bus.writePort(0xe0, 4, 0x11223344);
    bus.writePort(0xe1, 1, 0x99);
    expect([bus.readPort(0xe0, 4), bus.readPort(0xe2, 2), bus.readPort(0xe9, 1)]).toEqual([0x11229944, 0x1122, 0x99]);
    bus.writeMmio(0xff000010, 8, cell.setParts(0x55667788, 0x11223344));
    bus.readMmio(0xff000012, 4, cell);
    expect(cell.lo).toBe(0x33445566);
  });

  it('hyperv-testdev makes connections and raises SINTs; what does not exist is ignored', () => {
    for (const value of [0x10040105, 0x20060003, 0x00030102, 0x10050000, 0x10040205]) bus.writePort(0x3000, 4, value);
    expect(log).toEqual([
      'remove 16',
      'message 16 {"to":{"vp":1,"vtl":0,"sint":5}}',
      'remove 32',
      'event 32 {"to":{"vp":0,"vtl":0,"sint":3,"flagBase":32,"flagCount":1}}',
      'sint 1.2',
      'remove 16',
    ]);
  });
});

it('all of it is saved and restored', () => {
  ioApic(0x1a, 0x931);
  bus.writePort(0x43, 1, 0x34);
  bus.writePort(0x40, 1, 0);
  bus.writePort(0x40, 1, 0x10);
  bus.writePort(0xe0, 4, 7);
  const state = JSON.parse(JSON.stringify(bus.save())) as ReturnType<DeviceBus['save']>;
  ioApic(0x1a, 0x10000);
  bus.writePort(0xe0, 4, 8);
  due = [];
  bus.restore(state);
  expect([ioApic(0x1a), bus.readPort(0xe0, 4), due.length]).toEqual([0x931, 7, 1]);
});

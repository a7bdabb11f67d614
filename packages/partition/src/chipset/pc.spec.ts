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
    pulseLint: (vp, pin) => void log.push(`lint${pin} of ${vp}`),
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

describe('8254, read-back and BCD', () => {
  const load = (control: number, low: number, high: number): void => {
    bus.writePort(0x43, 1, control);
    bus.writePort(0x40, 1, low);
    bus.writePort(0x40, 1, high);
  };

  it('a read-back command latches the state, then the count: output, null count, access, mode, BCD (8254, read-back)', () => {
    bus.writePort(0x43, 1, 0x34);
    bus.writePort(0x43, 1, 0xe2);
    expect(bus.readPort(0x40, 1)).toBe(0xf4);
    load(0x30, 0x10, 0x00);
    bus.writePort(0x43, 1, 0xc2);
    now = Math.ceil((20 / 1193182) * TSC_HZ);
    expect([bus.readPort(0x40, 1), bus.readPort(0x40, 1), bus.readPort(0x40, 1)]).toEqual([0x30, 0x10, 0x00]);
    bus.writePort(0x43, 1, 0xe2);
    expect(bus.readPort(0x40, 1)).toBe(0xb0);
  });

  it('a count in BCD is loaded and read as four digits, and zero is ten thousand (8254, control word)', () => {
    load(0x35, 0x00, 0x10);
    now = Math.ceil((1.5 / 1193182) * TSC_HZ);
    bus.writePort(0x43, 1, 0x00);
    expect([bus.readPort(0x40, 1), bus.readPort(0x40, 1)]).toEqual([0x99, 0x09]);
    expect(due[0]!.tick).toBe(Math.ceil((1000 / 1193182) * TSC_HZ));
    due = [];
    const since = Math.floor((now / TSC_HZ) * 1193182);
    load(0x35, 0x00, 0x00);
    expect(due[0]!.tick).toBe(Math.ceil(((since + 10000) / 1193182) * TSC_HZ));
  });
});

describe('the pair of 8259s (8259A)', () => {
  const setUp = (masterMask: number, slaveMask: number, mode = 1): void => {
    const words = [[0x20, 0x11], [0x21, 0x20], [0x21, 4], [0x21, mode], [0xa0, 0x11], [0xa1, 0x28], [0xa1, 2], [0xa1, mode], [0x21, masterMask], [0xa1, slaveMask]] as const;
    for (const [port, value] of words) bus.writePort(port, 1, value);
  };
  const irr = (port = 0x20): number => (bus.writePort(port, 1, 0x0a), bus.readPort(port, 1));
  const isr = (port = 0x20): number => (bus.writePort(port, 1, 0x0b), bus.readPort(port, 1));
  const poll = (port = 0x20): number => (bus.writePort(port, 1, 0x0c), bus.readPort(port, 1));
  const pulses = (): number => log.filter((entry) => entry === 'lint0 of 0').length;

  it('pulses LINT0 of the first VP when an unmasked line rises, and not for a masked one', () => {
    setUp(0xff, 0xff);
    line(5, 1);
    expect([pulses(), irr()]).toEqual([0, 0x20]);
    bus.writePort(0x21, 1, 0xdf);
    expect(pulses()).toBe(1);
    line(5, 0);
    expect(irr()).toBe(0);
    line(5, 1);
    expect(pulses()).toBe(2);
  });

  it('a poll takes the highest request into service, which holds back those below until its end', () => {
    setUp(0, 0);
    line(5, 1);
    line(3, 1);
    expect([poll(), isr(), poll()]).toEqual([0x83, 0x08, 0]);
    bus.writePort(0x20, 1, 0x20);
    expect([isr(), poll()]).toEqual([0, 0x85]);
    bus.writePort(0x20, 1, 0x65);
    expect(isr()).toBe(0);
  });

  it('the slave comes in at line 2 of the master', () => {
    setUp(0, 0);
    line(8, 1);
    expect([pulses(), irr(), irr(0xa0)]).toEqual([1, 4, 1]);
    expect([poll(), poll(0xa0), isr(), isr(0xa0)]).toEqual([0x82, 0x80, 4, 1]);
  });

  it('automatic EOI leaves nothing in service; a rotation at the end puts the line last', () => {
    setUp(0, 0, 3);
    line(5, 1);
    expect([poll(), isr()]).toEqual([0x85, 0]);
    setUp(0, 0);
    line(3, 0);
    line(5, 0);
    line(3, 1);
    line(5, 1);
    poll();
    bus.writePort(0x20, 1, 0xa0);
    line(3, 0);
    line(3, 1);
    expect(poll()).toBe(0x85);
  });

  it('a line made level-triggered by ELCR asks as long as it is high; lines 0 to 2, 8 and 13 stay edges (82371)', () => {
    setUp(0, 0);
    bus.writePort(0x4d0, 1, 0xff);
    bus.writePort(0x4d1, 1, 0xff);
    expect([bus.readPort(0x4d0, 1), bus.readPort(0x4d1, 1)]).toEqual([0xf8, 0xde]);
    line(5, 1);
    expect([poll(), irr()]).toEqual([0x85, 0x20]);
    bus.writePort(0x20, 1, 0x20);
    expect(poll()).toBe(0x85);
  });

  it('is the same after a restore', () => {
    setUp(0, 0);
    line(5, 1);
    poll();
    const saved = bus.save();
    bus.writePort(0x20, 1, 0x20);
    bus.restore(saved);
    expect(isr()).toBe(0x20);
  });
});

describe('the clock’s setting and interrupts (MC146818A)', () => {
  const cmos = (index: number, value?: number): number => {
    bus.writePort(0x70, 1, index);
    if (value !== undefined) bus.writePort(0x71, 1, value);
    return bus.readPort(0x71, 1);
  };
  const happenNext = (): void => {
    const [event] = due.splice(0, 1);
    now = event!.tick;
    event!.happen(now);
  };

  it('can be set, and goes on from there', () => {
    cmos(11, 0x06);
    for (const [index, value] of [[0x32, 20], [9, 26], [8, 11], [7, 23], [4, 1], [2, 59], [0, 58]] as const) cmos(index, value);
    now = 3 * TSC_HZ;
    expect([0x32, 9, 8, 7, 4, 2, 0, 6].map((index) => cmos(index))).toEqual([20, 26, 11, 23, 2, 0, 1, 2]);
  });

  it('interrupts on line 8 at each period of register A until C is read', () => {
    ioApic(0x20, 0x38);
    cmos(10, 0x2f);
    cmos(11, 0x42);
    happenNext();
    expect([now, log.at(-1)]).toEqual([TSC_HZ / 2, 'msi fee00000 38']);
    happenNext();
    expect(log.filter((entry) => entry.endsWith(' 38'))).toHaveLength(1);
    expect(cmos(12)).toBe(0xd0);
    expect(cmos(12)).toBe(0);
    happenNext();
    expect(log.filter((entry) => entry.endsWith(' 38'))).toHaveLength(2);
  });

  it('an alarm comes at its second; a register with bits 7:6 set matches always', () => {
    for (const [index, value] of [[1, 0x03], [3, 0xff], [5, 0xc0], [11, 0x22]] as const) cmos(index, value);
    for (let second = 1; second <= 2; second++) happenNext();
    expect(log).not.toContain('lint0 of 0');
    expect(cmos(12) & 0x20).toBe(0);
    happenNext();
    expect([now / TSC_HZ, cmos(12)]).toEqual([3, 0xf0]);
  });

  it('announces an update by bit 7 of register A', () => {
    now = 0.5 * TSC_HZ;
    expect(cmos(10) & 0x80).toBe(0);
    now = 0.9995 * TSC_HZ;
    expect(cmos(10) & 0x80).toBe(0x80);
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

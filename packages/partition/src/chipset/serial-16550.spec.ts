import { expect, it } from 'vitest';
import { Serial16550 } from './serial-16550.js';

const sent: number[] = [];
let line: boolean;
const make = () => ((sent.length = 0), (line = false), new Serial16550((byte) => void sent.push(byte), { set: (number, level) => void (number === 4 && (line = level)) }));

it('sends each byte at once and is ready for the next (PC16550D, LSR)', () => {
  const port = make();
  for (const byte of [0x68, 0x69, 0xff]) port.writePort(0x3f8, 1, byte);
  expect(sent).toEqual([0x68, 0x69, 0xff]);
  expect(port.readPort(0x3fd)).toBe(0x60);
});

it('keeps the divisor apart from data and interrupt enable (PC16550D, LCR.DLAB)', () => {
  const port = make();
  port.writePort(0x3fb, 1, 0x83);
  port.writePort(0x3f8, 1, 0x01);
  port.writePort(0x3f9, 1, 0x02);
  expect([port.readPort(0x3f8), port.readPort(0x3f9)]).toEqual([1, 2]);
  port.writePort(0x3fb, 1, 0x03);
  port.writePort(0x3f9, 1, 0xff);
  expect([port.readPort(0x3f8), port.readPort(0x3f9), port.readPort(0x3fb)]).toEqual([0, 0x0f, 3]);
  expect(sent).toEqual([]);
});

it('gives back in loopback what is sent, and its outputs as inputs (PC16550D, MCR)', () => {
  const port = make();
  port.writePort(0x3fc, 1, 0x1e);
  port.writePort(0x3f8, 1, 0xae);
  expect([port.readPort(0x3fd), port.readPort(0x3f8), port.readPort(0x3fd)]).toEqual([0x61, 0xae, 0x60]);
  expect([port.readPort(0x3fe), sent]).toEqual([0xd0, []]);
});

it('is told by its scratch register and its FIFOs (PC16550D, SCR and IIR)', () => {
  const port = make();
  port.writePort(0x3ff, 1, 0x5a);
  expect([port.readPort(0x3ff), port.readPort(0x3fa)]).toEqual([0x5a, 1]);
  port.writePort(0x3fa, 1, 0x07);
  expect(port.readPort(0x3fa)).toBe(0xc1);
});

it('goes on in a restored partition as it was', () => {
  const port = make();
  port.writePort(0x3fb, 1, 0x80);
  port.writePort(0x3f9, 1, 0x12);
  const other = make();
  other.restore(JSON.parse(JSON.stringify(port.save())) as ReturnType<Serial16550['save']>);
  expect(other.readPort(0x3f9)).toBe(0x12);
});

it('interrupts on line 4 when the transmitter is empty, until IIR is read, and again after each byte; only with OUT2 (PC16550D, IER and IIR)', () => {
  const port = make();
  port.writePort(0x3f9, 1, 2);
  expect(line).toBe(false);
  port.writePort(0x3fc, 1, 0x0b);
  expect(line).toBe(true);
  expect([port.readPort(0x3fa), line, port.readPort(0x3fa)]).toEqual([2, false, 1]);
  port.writePort(0x3f8, 1, 0x41);
  expect([line, sent]).toEqual([true, [0x41]]);
  port.writePort(0x3f9, 1, 0);
  expect([line, port.readPort(0x3fa)]).toEqual([false, 1]);
});

it('a received byte comes before the empty transmitter in IIR, and goes with the byte', () => {
  const port = make();
  port.writePort(0x3fc, 1, 0x1b);
  port.writePort(0x3f9, 1, 3);
  port.writePort(0x3f8, 1, 0x55);
  expect([port.readPort(0x3fa), port.readPort(0x3f8), port.readPort(0x3fa), port.readPort(0x3fa)]).toEqual([4, 0x55, 2, 1]);
  expect(line).toBe(false);
});

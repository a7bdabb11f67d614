import { describe, expect, it } from 'vitest';
import { code, CODE, DATA, Guest, Pte, Reg } from '../../test/guest.js';
import { EventType, stateLayout, Stop } from '../index.js';

/** Another machine that goes on where this one stands: its memory and its processor's state, by way of JSON. */
function restored(guest: Guest): Guest {
  const bytes = new Uint8Array(guest.memory.ramBytes);
  guest.memory.readRam(0, bytes);
  const [state, lines] = JSON.parse(JSON.stringify([guest.processor.save(), guest.memory.saveCode()]));
  const other = new Guest();
  other.memory.writeRam(0, bytes);
  other.memory.restoreCode(lines);
  other.processor.restore(state);
  return other;
}

/** Runs both for `count` instructions, and expects all that shows, and all that may show later, to be the same. */
function expectSameRun(one: Guest, other: Guest, count: number): void {
  expect(other.processor.run(count)).toBe(one.processor.run(count));
  expect(other.snapshot()).toEqual(one.snapshot());
  expect(other.processor.save()).toEqual(one.processor.save());
  expect(other.memory.saveCode()).toEqual(one.memory.saveCode());
}

/** Adds, stores, calls, changes its own code each time round, and reads what it stored; for ever. */
const BUSY = '48 01 d8 48 89 07 ff 05 06 00 00 00 e8 07 00 00 00 b9 00 00 00 00 eb eb 48 03 1f 9c 41 59 c3';

describe('a saved processor', () => {
  it('goes on as it would have, wherever it was saved', () => {
    for (let at = 0; at < 100; at += at < 16 ? 1 : 13) {
      const guest = new Guest().load(code(BUSY));
      guest.setReg(Reg.rdi, BigInt(DATA));
      guest.setReg(Reg.rbx, 0x1234_5678_9abcn);
      if (at > 0) guest.processor.run(at);
      const other = restored(guest);
      expectSameRun(guest, other, 1 + (at % 7));
      expectSameRun(guest, other, 50);
    }
  });

  it('saves the same whether or not it was saved and restored before', () => {
    const guest = new Guest().load(code(BUSY));
    guest.setReg(Reg.rdi, BigInt(DATA));
    let other = guest;
    for (let round = 0; round < 10; round++) {
      other = restored(other);
      other.processor.run(12 - round);
    }
    const whole = new Guest().load(code(BUSY));
    whole.setReg(Reg.rdi, BigInt(DATA));
    whole.processor.run(75);
    expect(other.processor.save()).toEqual(whole.processor.save());
  });

  it('keeps the event that is queued, the virtual interrupt and the shadow', () => {
    const guest = new Guest().load(code('fb 90 90 f4' /* sti; nop; nop; hlt */));
    guest.processor.virtualInterrupt = 0x41;
    guest.processor.run(1);
    expectSameRun(guest, restored(guest), 10);
    expect(guest.handled).toBe(0x41);
    guest.processor.inject(EventType.Exception, 13, 8, 0);
    const other = restored(guest);
    expectSameRun(guest, other, 10);
    expect(other.handled).toBe(13);
  });

  it('goes on in real mode', () => {
    const guest = new Guest().load(code('40 01 07 eb fb' /* inc ax; add [bx], ax; jmp $ - 3 */));
    guest.set(stateLayout.cr0, 0x10n);
    guest.set(stateLayout.efer, 0n);
    for (const segment of [0, 1, 2, 3, 4, 5]) guest.segment(segment, CODE >> 4, segment === 1 ? 0x9b : 0x93, BigInt(CODE), 0xffff);
    guest.rip = 0;
    guest.setReg(Reg.rbx, 0x100n);
    guest.processor.stateChanged();
    guest.processor.run(20);
    expectSameRun(guest, restored(guest), 31);
    expect(guest.reg(Reg.rax)).toBe(17n);
  });

  it('keeps intercepts and the exit that they made', () => {
    const guest = new Guest().load(code('b9 10 00 00 00 0f 32 f4' /* mov ecx, 0x10; rdmsr; hlt */));
    guest.processor.intercepts.msrBitmap[2] = 1;
    guest.processor.intercepts.hlt = true;
    guest.processor.interceptsChanged();
    expect(guest.processor.run(10)).toBe(Stop.Intercept);
    const other = restored(guest);
    expect(other.processor.exit).toEqual(guest.processor.exit);
    expect(other.processor.run(1)).toBe(Stop.Intercept);
  });
});

describe('what a processor remembers of page tables that have changed since', () => {
  it('a translation of data that was not invalidated is still used', () => {
    const guest = new Guest().load(code('8b 07 8b 07 f4' /* mov eax, [rdi]; mov eax, [rdi]; hlt */));
    guest.quad(DATA, 1n);
    guest.quad(DATA + 0x1000, 2n);
    guest.setReg(Reg.rdi, BigInt(DATA));
    guest.processor.run(1);
    guest.memory.writeRam32(guest.entryOf(DATA), (DATA + 0x1000) | Pte.p | Pte.w);
    const other = restored(guest);
    expectSameRun(guest, other, 10);
    expect(other.reg(Reg.rax)).toBe(1n);
    other.rip = CODE;
    other.processor.flushTlb();
    other.finish();
    expect(other.reg(Reg.rax)).toBe(2n);
  });

  it('so is one of code, and no accessed bit is set for it', () => {
    const guest = new Guest().load(code('ff c0 eb 00 ff c9 75 f8 f4' /* inc eax; jmp $ + 2; dec ecx; jnz $ - 6; hlt */));
    guest.setReg(Reg.rcx, 10n);
    guest.processor.run(8);
    guest.memory.writeRam32(guest.entryOf(CODE), CODE | Pte.p | Pte.w);
    const other = restored(guest);
    expectSameRun(guest, other, 12);
    expect(other.memory.readRam32(other.entryOf(CODE)) & Pte.a).toBe(0);
  });

  it('so is one that has been written, though code was decoded from its page: no dirty bit comes back', () => {
    const guest = new Guest().load(code('89 87 00 08 00 00 89 87 00 08 00 00 f4' /* mov [rdi + 0x800], eax; mov [rdi + 0x800], eax; hlt */));
    guest.setReg(Reg.rdi, BigInt(CODE));
    guest.processor.run(1);
    guest.memory.writeRam32(guest.entryOf(CODE), CODE | Pte.p | Pte.w);
    expectSameRun(guest, restored(guest), 1);
    expect(guest.memory.readRam32(guest.entryOf(CODE)) & Pte.d).toBe(0);
  });
});

describe('a state that is none', () => {
  it('of other memory, or with a translation out of RAM, is refused', () => {
    const guest = new Guest().load(code('8b 07 f4'));
    guest.processor.run(1);
    const state = guest.processor.save();
    expect(() => new Guest().processor.restore({ ...state, registers: [5, 0] })).toThrow(RangeError);
    expect(() => new Guest().processor.restore({ ...state, translations: [0, 0, 0, 0, 1 << 20, 0] })).toThrow(RangeError);
  });
});

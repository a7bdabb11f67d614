import { ApicRegister, RunStatus, SecondaryControl, TdcallLeaf, TdxStatus, U64, VmcsField, VmxExit, newTdcallArgument } from '@paravisor/hcl-protocol';
import { describe, expect, it } from 'vitest';
import { l2MsrBitmapClass, l2VmcsFieldHigh, vpFieldHigh } from '../src/abi/index.js';
import { At, TIMER_VECTOR, bytesOf, smallMachine, startVtl0 } from './small-guest.js';
import type { SmallMachine } from './small-guest.js';

/** Another vector with the same handler, in a higher class. */
const HIGHER = 0x61;
const SELF_IPI = 0x83f;
const TPR = 0x808;
const EOI = 0x80b;
const Gpr = { rax: 0, rcx: 1, rdx: 2, rbx: 3, r9: 9 } as const;

function write({ vp }: SmallMachine, lo: number, hi: number, value: U64): void {
  const argument = newTdcallArgument();
  argument.rax.setParts(TdcallLeaf.VpWr, 0);
  argument.rdx.setParts(lo, hi);
  argument.r8.set(value);
  argument.r9.setParts(-1, -1);
  expect(vp.tdcall(argument)).toBe(0);
  expect(argument.rax.hi).toBe(TdxStatus.Success);
}
const writeField = (small: SmallMachine, encoding: number, value: number, hi = 0): void => write(small, encoding, l2VmcsFieldHigh(1, encoding), new U64().setParts(value, hi));

/** The page as the L2 VM and VTL2 share it. */
class ApicPage {
  readonly words: Int32Array;
  constructor({ vp }: SmallMachine) {
    this.words = new Int32Array(vp.apicPage.buffer, vp.apicPage.byteOffset, 1024);
  }
  set(first: number, vector: number): void {
    this.words[(first + (vector >>> 5)) * 4]! |= 1 << (vector & 31);
  }
  has(first: number, vector: number): boolean {
    return (this.words[(first + (vector >>> 5)) * 4]! & (1 << (vector & 31))) !== 0;
  }
  get tpr(): number {
    return this.words[ApicRegister.Tpr * 4]!;
  }
  set tpr(value: number) {
    this.words[ApicRegister.Tpr * 4] = value;
  }
  get ppr(): number {
    return this.words[ApicRegister.Ppr * 4]!;
  }
}

/** Runs instructions under virtual-interrupt delivery, x2APIC task priority, EOI and self-IPI let through, until they exit, a virtual millisecond at most. */
function runOffloaded(hex: string, { rflags = 0x202, registers = {}, delivery = true, prepare }: {
  rflags?: number;
  registers?: Partial<Record<keyof typeof Gpr, number>>;
  delivery?: boolean;
  prepare?: (small: SmallMachine, apic: ApicPage) => void;
} = {}) {
  const small = smallMachine();
  const { machine, vp, page } = small;
  machine.loadImage(At.snippet, bytesOf(hex));
  // The gate of the second vector.
  const gate = new Uint8Array(16);
  machine.hcl.memory.read(At.idt + 16 * TIMER_VECTOR, gate);
  machine.loadImage(At.idt + 16 * HIGHER, gate);
  startVtl0(small, At.snippet);
  if (delivery) {
    writeField(small, VmcsField.SecondaryControls, SecondaryControl.VirtualInterruptDelivery);
    for (const word of [32, 256 + 32]) write(small, word, vpFieldHigh(l2MsrBitmapClass(1), 3), new U64().setParts(~0x900, ~(1 << 31)));
  }
  page.context.gprList.rflags.setParts(rflags, 0);
  for (const [name, value] of Object.entries(registers)) page.context.gprList.gpr[Gpr[name as keyof typeof Gpr]]!.set(new U64().setNumber(value));
  const apic = new ApicPage(small);
  prepare?.(small, apic);
  machine.schedule(machine.now + 2_000_000, () => machine.stop());
  machine.nextVp();
  const status = vp.run();
  const counter = new U64();
  machine.hcl.memory.readU64(At.counter, counter);
  return { ...small, apic, status, info: page.context.exitInfo, gprList: page.context.gprList, handled: counter.toNumber() };
}

/** VTL2 has put vectors into IRR, and RVI is the highest. */
function requested(...vectors: number[]) {
  return ({ page }: SmallMachine, apic: ApicPage): void => {
    for (const vector of vectors) apic.set(ApicRegister.Irr0, vector);
    page.context.gprList.rvi = Math.max(...vectors);
  };
}
const SPIN = 'ebfe';

describe('virtual-interrupt delivery in an L2 VM (SDM volume 3, 30.2)', () => {
  it('delivers RVI without an exit; the handler’s EOI takes none either', () => {
    const run = runOffloaded(SPIN, { prepare: requested(TIMER_VECTOR) });
    expect([run.status, run.handled]).toEqual([RunStatus.Pending, 1]);
    expect(run.apic.has(ApicRegister.Irr0, TIMER_VECTOR)).toBe(false);
    expect(run.apic.has(ApicRegister.Isr0, TIMER_VECTOR)).toBe(false);
    expect(run.apic.ppr).toBe(0);
  });

  it('delivers the lower vector after the EOI of the higher', () => {
    expect(runOffloaded(SPIN, { prepare: requested(TIMER_VECTOR, HIGHER) }).handled).toBe(2);
  });

  it('holds the interrupt while RFLAGS.IF is clear, and delivers it behind the shadow of STI', () => {
    expect(runOffloaded(SPIN, { rflags: 2, prepare: requested(TIMER_VECTOR) }).handled).toBe(0);
    // sti; hlt: the shadow lasts over HLT, which exits.
    const run = runOffloaded('fbf4', { rflags: 2, prepare: requested(TIMER_VECTOR) });
    expect([run.info.rax.lo, run.handled, run.gprList.rvi]).toEqual([VmxExit.Hlt, 0, TIMER_VECTOR]);
  });

  it.each([
    [0x50, 0],
    [0x4f, 1],
  ])('a task priority of 0x%s holds vector 0x50 back or not', (tpr, handled) => {
    const run = runOffloaded(SPIN, {
      prepare(small, apic) {
        requested(TIMER_VECTOR)(small, apic);
        apic.tpr = tpr;
      },
    });
    expect(run.handled).toBe(handled);
  });

  it('MOV to CR8 and WRMSR 0x808 change the page’s task priority and let a held interrupt in, without an exit', () => {
    for (const [hex, registers] of [
      ['440f22c3ebfe', { rbx: 4 }],
      ['0f30ebfe', { rcx: TPR, rax: 0x4f }],
    ] as const) {
      const run = runOffloaded(hex, {
        registers,
        prepare(small, apic) {
          requested(TIMER_VECTOR)(small, apic);
          apic.tpr = 0x60;
        },
      });
      expect([run.status, run.handled, run.apic.tpr >>> 4]).toEqual([RunStatus.Pending, 1, 4]);
    }
  });

  it('MOV from CR8 and RDMSR 0x808 read the page', () => {
    const prepare = (_small: SmallMachine, apic: ApicPage): void => {
      apic.tpr = 0x75;
    };
    expect(runOffloaded('450f20c1f4', { prepare }).gprList.gpr[Gpr.r9]!.lo).toBe(7);
    expect(runOffloaded('0f32f4', { registers: { rcx: TPR }, prepare }).gprList.gpr[Gpr.rax]!.lo).toBe(0x75);
  });

  it('a self-IPI is delivered without an exit', () => {
    expect(runOffloaded('0f30ebfe', { registers: { rcx: SELF_IPI, rax: TIMER_VECTOR } }).handled).toBe(1);
  });

  it('a self-IPI with a vector below 16 is an APIC-write exit, 56, behind the instruction (SDM volume 3, 30.5)', () => {
    const run = runOffloaded('0f30f4', { registers: { rcx: SELF_IPI, rax: 15 } });
    expect([run.info.rax.lo, run.info.rcx.lo, run.gprList.rip.lo]).toEqual([56, 0x3f0, At.snippet + 2]);
  });

  it.each([
    [EOI, 1],
    [TPR, 0x100],
    [SELF_IPI, 0x100],
  ])('WRMSR 0x%s of %i is #GP', (msr, value) => {
    const { status } = runOffloaded('0f30ebfe', { registers: { rcx: msr, rax: value }, prepare: (small) => writeField(small, VmcsField.ExceptionBitmap, 1 << 13) });
    expect(status).toBe(RunStatus.Finished);
  });

  it('an EOI whose vector is in the EOI-exit bitmap exits behind it, reason 45 and the vector as qualification (SDM volume 3, 30.1.4)', () => {
    const run = runOffloaded(SPIN, {
      prepare(small, apic) {
        requested(TIMER_VECTOR)(small, apic);
        writeField(small, VmcsField.EoiExitBitmap1, 1 << (TIMER_VECTOR - 64));
      },
    });
    expect([run.info.rax.lo, run.info.rcx.lo, run.handled]).toEqual([45, TIMER_VECTOR, 1]);
  });

  it('an exit in the handler leaves RVI, SVI and ISR as they are, and an entry takes them up again', () => {
    // The handler's EOI exits, as it does without the offload.
    const run = runOffloaded(SPIN, {
      prepare(small, apic) {
        requested(TIMER_VECTOR, 0x31)(small, apic);
        for (const word of [32, 256 + 32]) write(small, word, vpFieldHigh(l2MsrBitmapClass(1), 3), new U64().setParts(-1, -1));
      },
    });
    expect([run.info.rax.lo, run.gprList.rvi, run.gprList.svi, run.apic.ppr]).toEqual([VmxExit.MsrWrite, 0x31, TIMER_VECTOR, 0x50]);
    expect(run.apic.has(ApicRegister.Isr0, TIMER_VECTOR)).toBe(true);
  });

  it('is delivered before a deadline that comes later, and not at all when the deadline has passed', () => {
    const passed = runOffloaded(SPIN, {
      prepare(small, apic) {
        requested(TIMER_VECTOR)(small, apic);
        small.page.context.l2TscDeadline.deadline.setParts(1, 0);
        small.page.context.l2TscDeadline.updateDeadline = 1;
      },
    });
    expect([passed.info.rax.lo, passed.handled, passed.gprList.rvi]).toEqual([VmxExit.TimerExpired, 0, TIMER_VECTOR]);
  });
});

describe('the task priority without virtual-interrupt delivery (SDM volume 3, 30.1)', () => {
  it('a MOV to CR8 below the threshold exits behind it, reason 43', () => {
    const run = runOffloaded('440f22c3f4', {
      delivery: false,
      registers: { rbx: 4 },
      prepare(small, apic) {
        apic.tpr = 0x60;
        writeField(small, VmcsField.TprThreshold, 5);
      },
    });
    expect([run.info.rax.lo, run.gprList.rip.lo, run.apic.tpr]).toEqual([VmxExit.TprBelowThreshold, At.snippet + 4, 0x40]);
  });

  it('one at the threshold does not', () => {
    const run = runOffloaded('440f22c3f4', { delivery: false, registers: { rbx: 5 }, prepare: (small, apic) => void ((apic.tpr = 0x60), writeField(small, VmcsField.TprThreshold, 5)) });
    expect(run.info.rax.lo).toBe(VmxExit.Hlt);
  });

  it('an entry below the threshold exits before any instruction (SDM volume 3, 27.7.7)', () => {
    const run = runOffloaded(SPIN, { delivery: false, prepare: (small) => writeField(small, VmcsField.TprThreshold, 5) });
    expect([run.info.rax.lo, run.machine.retired]).toEqual([VmxExit.TprBelowThreshold, 0]);
  });

  it('RVI does nothing', () => {
    expect(runOffloaded(SPIN, { delivery: false, prepare: requested(TIMER_VECTOR) }).handled).toBe(0);
  });
});

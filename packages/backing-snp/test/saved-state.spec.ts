/** The machine half saved at any point of a run, an entry that is pending and a count in the driver's hands included. */
import { RunStatus, StimerConfig, Stimer0Flag, SvmExit, U64, VIntr, viewSnpRunPage, viewVmsa } from '@paravisor/hcl-protocol';
import type { Plain } from '@paravisor/hcl-protocol';
import { describe, expect, it } from 'vitest';
import { CODE, GuestProgram, UNACCEPTED } from './guest-program.js';

const u32 = (value: number): number[] => [...new Uint8Array(Uint32Array.of(value).buffer)];
const VTL1_CODE = 0x6_0000;
/**
 * For ever: a period of 50 to 305 for STIMER0, which the driver takes; 200 × LOOP, 20,000 ticks; CPUID; a store to a page that comes and goes.
 * mov ecx, 0x400000b1; lea eax, [rbx+50]; xor edx, edx; wrmsr; mov ecx, 200; loop $; cpuid; inc ebx; and ebx, 255; mov [UNACCEPTED], eax; jmp CODE
 */
const program = [
  0xb9, ...u32(0x400000b1), 0x8d, 0x83, ...u32(50), 0x31, 0xd2, 0x0f, 0x30, 0xb9, ...u32(200), 0xe2, 0xfe, 0x0f, 0xa2,
  0xff, 0xc3, 0x81, 0xe3, ...u32(255), 0x89, 0x04, 0x25, ...u32(UNACCEPTED), 0xeb, 0xd7,
];

/** A program whose user mode is a few lines: it answers each exit, switches VTLs, and changes a page. */
class Run {
  readonly guest = new GuestProgram(program);
  /** User mode's own state. */
  rounds = 0;
  readonly #page = viewSnpRunPage(this.guest.hcl.runPage);

  constructor() {
    this.guest.enableVtl1(VTL1_CODE, [0xff, 0xc0, 0x0f, 0xa2, 0xeb, 0xfa]);
    this.#page.context.stimer0Config.set(U64.of(StimerConfig.AutoEnable | StimerConfig.Periodic | StimerConfig.DirectMode | (0x50 << 4)));
  }

  /** Goes on until the machine stands still. */
  run(): void {
    const { machine, hcl } = this.guest;
    while (machine.nextVp() >= 0) {
      const status = hcl.run();
      if (status !== RunStatus.Pending) this.#round();
    }
  }

  /** The run ioctl is entered anew. */
  start(): void {
    this.#begin();
  }

  #begin(): void {
    const vtl = this.rounds % 5 === 4 ? 1 : 0;
    const { vIntrCntrl } = viewVmsa(this.guest.hcl.vmsa(vtl)!);
    vIntrCntrl.setParts(vIntrCntrl.lo, vIntrCntrl.hi & ~VIntr.HighGuestBusy);
    this.#page.targetVtl = vtl;
    this.#page.cancel = 0;
    this.#page.context.stimer0Flags = vtl === 0 ? Stimer0Flag.ConfigValid : 0;
  }

  #round(): void {
    this.rounds++;
    const { hcl, vmsa } = this.guest;
    for (const each of [vmsa, viewVmsa(hcl.vmsa(1)!)]) {
      if (each.guestErrorCode.lo === SvmExit.Cpuid) each.rip.set(each.nextRip);
      if (each.guestErrorCode.lo === SvmExit.Npf) hcl.pvalidate(UNACCEPTED, true);
      else if (this.rounds % 7 === 0) hcl.pvalidate(UNACCEPTED, false);
      if (each.exitIntInfo.lo !== 0) each.eventInject.set(each.exitIntInfo);
      each.guestErrorCode.setParts(SvmExit.Intr, 0);
    }
    this.#begin();
  }

  /** All that can be seen. */
  observe(): unknown {
    const { machine, hcl } = this.guest;
    const pages = [hcl.runPage, hcl.vmsa(0)!, hcl.vmsa(1)!].map((page) => [...page]);
    return { rounds: this.rounds, now: machine.now, retired: machine.retired, ledger: machine.ledger.snapshot(), present: hcl.interceptMessagePresent, pages };
  }

  runTo(tick: number): void {
    const { machine } = this.guest;
    machine.pauseAt(tick);
    this.run();
  }

  /** Another machine that goes on from here, by way of JSON. */
  reborn(): Run {
    const other = new Run();
    other.rounds = this.rounds;
    other.guest.machine.restore(JSON.parse(JSON.stringify(this.guest.machine.save() satisfies Plain)) as ReturnType<typeof this.guest.machine.save>);
    return other;
  }
}

describe('the saved state of the SNP machine half', () => {
  it('is such that a run goes on with the same bytes, wherever it was saved', () => {
    const begun = new Run();
    begun.start();
    const first = begun.guest.machine.now;
    const END = first + 3_000_000;
    const whole = new Run();
    whole.start();
    whole.runTo(END);
    const expected = whole.observe();
    const seen = new Set<string>();
    for (let at = first + 10_007; at < END; at += 190_007) {
      const run = new Run();
      run.start();
      run.runTo(at);
      const other = run.reborn();
      expect(other.observe()).toEqual(run.observe());
      const flags = viewSnpRunPage(run.guest.hcl.runPage).context.stimer0Flags;
      seen.add(`vtl ${viewSnpRunPage(run.guest.hcl.runPage).targetVtl}, ${(flags & Stimer0Flag.KernelUpdate) === 0 ? 'nothing' : 'a count'} taken`);
      run.runTo(END);
      other.runTo(END);
      expect(run.observe()).toEqual(expected);
      expect(other.observe()).toEqual(expected);
    }
    // The points were worth it.
    expect([...seen].sort()).toEqual(['vtl 0, a count taken', 'vtl 0, nothing taken', 'vtl 1, nothing taken']);
    expect(whole.guest.exits.paravisor).toMatchObject({ msr_write: expect.any(Number), cpuid: expect.any(Number), npf: expect.any(Number), intr: expect.any(Number) });
    expect(whole.guest.rip).not.toBe(CODE);
  });
});

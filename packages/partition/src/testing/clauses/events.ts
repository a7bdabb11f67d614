/** Events on their way into the lower VTL, its start state, and VTL1. */
import { clause } from '../clause.js';
import type { ContractClause, Subject } from '../clause.js';
import { CLI, CPUID, END, IRETQ, NOP, REPORT_EAX, RESTORE, SAVE, SPIN, STI, UNEXPECTED, programAddress, rdmsr, report, startOf, wrmsr } from '../guest.js';
import type { ContractGuest } from '../guest.js';
import { ContractRig } from '../rig.js';

const HV_EOI = 0x40000070;
const APIC_BASE = 0x1b;
const X2APIC_EOI = 0x80b;
const X2APIC_SVR = 0x80f;
const X2APIC_SELF_IPI = 0x83f;
const STIMER0_CONFIG = 0x400000b0;
const STIMER0_COUNT = 0x400000b1;
const HV_REFERENCE_TIME = 0x40000020;
/** The local APIC in x2APIC mode, software-enabled, spurious vector 0xff. */
const ENABLE_X2APIC = [wrmsr(APIC_BASE, 0xfee00d00), wrmsr(X2APIC_SVR, 0x1ff)].join(' ');
const VECTOR = 0x40;
/** Enabled, periodic, vector, direct mode (TLFS "HV_X64_MSR_STIMER_CONFIG"). */
const PERIODIC_DIRECT = 1 | 2 | (VECTOR << 4) | (1 << 12);
/** 100 µs in reference time. */
const PERIOD = 1000;
const LIMIT_US = 50_000;

const GENERAL_PROTECTION = 13;
const INVALID_OPCODE = 6;
const NMI = 2;

function requireReports({ require }: Subject, reports: readonly number[], expected: readonly number[]): void {
  const stranger = reports.find((value) => value >= UNEXPECTED && value < UNEXPECTED + 256);
  require(stranger === undefined, `the guest got vector ${(stranger ?? 0) - UNEXPECTED}, which nobody sent`);
  require(reports.join() === expected.join(), `the guest reported ${reports.join(', ') || 'nothing'} instead of ${expected.join(', ')}`);
}

/** Reports the error code and where the fault was, and ends. */
const reportFault = ['58', REPORT_EAX, '58', REPORT_EAX, END];

/** A guest that counts ticks of a periodic timer in its handler: reports the reference time of each. `wait` is what it does between. */
const ticking = (wait: readonly string[]): ContractGuest => ({
  programs: [[ENABLE_X2APIC, wrmsr(STIMER0_CONFIG, PERIODIC_DIRECT), wrmsr(STIMER0_COUNT, PERIOD), STI, ...wait]],
  handlers: { [VECTOR]: [SAVE, rdmsr(HV_REFERENCE_TIME), REPORT_EAX, wrmsr(X2APIC_EOI, 0), RESTORE, IRETQ] },
});

const BUSY = [SPIN];
/** sti; hlt; jmp back. */
const HALTING = ['fb f4 ebfc'];

/** A guest whose timer is always armed, and which runs and halts by turns. */
export const alwaysTicking: ContractGuest = ticking(['fb f4 0fa2 ebf9']);

/** Runs a ticking guest for `LIMIT_US`: what it reported, and what the paravisor delivered, in reference time. */
function ticks({ backing }: Subject, wait: readonly string[]) {
  const delivered: { readonly due: number; readonly at: number }[] = [];
  const number = ({ lo, hi }: { readonly lo: number; readonly hi: number }): number => (hi >>> 0) * 2 ** 32 + (lo >>> 0);
  const nothing = (): void => {};
  const rig = new ContractRig({ backing }, ticking(wait), {
    observer: {
      exit: nothing,
      deadlineWritten: nothing,
      hostTimerArmed: nothing,
      hostTimerExpired: nothing,
      timerArmed: nothing,
      timerDelivered: (_vp, _vtl, _source, due, now) => void delivered.push({ due: number(due), at: number(now) }),
    },
  });
  rig.run(LIMIT_US);
  return { seen: rig.record.reports, delivered };
}

/** The guest's handler ran once for each delivery, after it, and at about the rate of the timer. */
function requireTicks(subject: Subject, wait: readonly string[]): void {
  const { require } = subject;
  const { seen, delivered } = ticks(subject, wait);
  const expected = (LIMIT_US * 10) / PERIOD;
  for (const { due, at } of delivered) require(at >= due, `a timer was delivered at ${at}, before it was due at ${due}`);
  const twice = delivered.length - new Set(delivered.map(({ due }) => due)).size;
  require(twice === 0, `${twice} due times were delivered twice`);
  require(delivered.length > 0.8 * expected && delivered.length <= expected, `${delivered.length} ticks were delivered in a time for ${expected}`);
  require(seen.length === delivered.length || seen.length === delivered.length - 1, `${delivered.length} ticks were delivered, and the guest's handler ran ${seen.length} times`);
  for (const [index, time] of seen.entries()) require(time >= delivered[index]!.due, `the guest took a tick at ${time} that was due at ${delivered[index]!.due}`);
}

export const eventClauses: readonly ContractClause[] = [
  clause('exceptions-are-injected', 'a refused access is #GP at its instruction, and an injected exception arrives with its error code, or without', (subject) => {
    const { backing, require } = subject;
    const handlers = { [GENERAL_PROTECTION]: reportFault, [INVALID_OPCODE]: [report(INVALID_OPCODE), END] };
    // Reading the EOI MSR is #GP (TLFS); RIP is that of RDMSR, after the five bytes of MOV.
    const refused = new ContractRig({ backing }, { programs: [[rdmsr(HV_EOI), END]], handlers });
    refused.rounds(20, () => refused.record.ended);
    requireReports(subject, refused.record.reports, [0, programAddress(0) + 5]);
    for (const [vector, errorCode, expected] of [[GENERAL_PROTECTION, 0x18, [0x18, programAddress(0)]], [INVALID_OPCODE, -1, [INVALID_OPCODE]]] as const) {
      const rig = new ContractRig({ backing }, { programs: [[SPIN]], handlers });
      rig.vp.injectException(0, vector, errorCode);
      require(rig.vp.pendingEventVector(0) === vector, `pendingEventVector says ${rig.vp.pendingEventVector(0)} while exception ${vector} waits`);
      rig.rounds(20, () => rig.record.ended, { callBackAt: rig.now() + PERIOD });
      requireReports(subject, rig.record.reports, expected);
    }
  }),

  clause('nmi-is-injected', 'an offered NMI is taken once, whatever RFLAGS.IF', (subject) => {
    const rig = new ContractRig(subject, { programs: [[SPIN]], handlers: { [NMI]: [SAVE, report(NMI), RESTORE, IRETQ] } });
    rig.vp.offerNmi(0);
    const end = rig.now() + PERIOD;
    rig.rounds(20, () => rig.now() >= end, { callBackAt: end });
    requireReports(subject, rig.record.reports, [NMI]);
  }),

  clause('interrupt-is-taken-once', 'an interrupt offered round after round is taken when the guest lets interrupts in, not before, and once', (subject) => {
    const program = [ENABLE_X2APIC, CLI, wrmsr(X2APIC_SELF_IPI, VECTOR), CPUID, CPUID, report(1), STI, NOP, NOP, CPUID, report(3), CPUID, CPUID, END];
    const rig = new ContractRig(subject, { programs: [program], handlers: { [VECTOR]: [SAVE, report(2), wrmsr(X2APIC_EOI, 0), RESTORE, IRETQ] } });
    const { reason } = rig.run(LIMIT_US);
    subject.require(rig.record.ended, `the guest did not come to its end: ${reason}`);
    requireReports(subject, rig.record.reports, [1, 2, 3]);
  }),

  clause('no-tick-early-or-twice', 'a running guest gets every tick of a timer once, and none before its time', (subject) => requireTicks(subject, BUSY)),

  clause('halted-guest-gets-its-ticks', 'a guest that halts between ticks gets every one of them once, and none before its time', (subject) => requireTicks(subject, HALTING)),

  clause('initialize-again', 'initialize at any time gives the VTL its start state and drops events on their way (INIT)', (subject) => {
    const { require } = subject;
    const second = [`89d8`, REPORT_EAX, END];
    const rig = new ContractRig(subject, { programs: [[CPUID, report(1), SPIN], second] });
    rig.rounds(20, () => rig.record.reports.length > 0);
    rig.vp.injectException(0, GENERAL_PROTECTION, 0);
    rig.vp.offerNmi(0);
    rig.vp.initialize(0, startOf(1, 0x1234n));
    rig.rounds(20, () => rig.record.ended, { callBackAt: rig.now() + PERIOD });
    require(rig.record.ended, 'the guest did not start at its new RIP');
    requireReports(subject, rig.record.reports, [1, 0x1234]);
  }),

  clause('vtl1-is-its-own', 'VTL1 runs with registers of its own, its exits come as VTL1\'s, and switchVtl carries over what the VTLs of a VP share', (subject) => {
    const { require } = subject;
    // mov ebx, 0x1234; report 1; then report ebx, which VTL1 has changed, and whether RSP is still VTL0's.
    const program = ['bb34120000', report(1), '89d8', REPORT_EAX, '89e0', REPORT_EAX, END];
    const vtl1 = [report(3), '89d8', REPORT_EAX, CPUID, 'bb78560000', report(4), SPIN];
    const rig = new ContractRig(subject, { programs: [program, vtl1] });
    const stack = (place: number): number => Number(startOf(place).gpr[4]);
    rig.vp.initialize(1, startOf(1));
    rig.rounds(20, () => rig.record.reports.length >= 1);
    rig.vp.switchVtl(0, 1);
    rig.rounds(20, () => rig.record.reports.length >= 4, { vtl: 1 });
    requireReports(subject, rig.record.reports, [1, 3, 0x1234, 4]);
    const cpuid = rig.record.asked.find(({ what }) => what === 'cpuid');
    require(cpuid?.operands[0] === 1, `an exit of VTL1 came as one of VTL${cpuid?.operands[0]}`);
    rig.vp.switchVtl(1, 0);
    rig.rounds(20, () => rig.record.ended);
    requireReports(subject, rig.record.reports.slice(4), [0x5678, stack(0)]);
  }),
];

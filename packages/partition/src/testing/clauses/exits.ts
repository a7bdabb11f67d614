/** Exits: what the lower VTL asks for ends in the handlers, with the right operands, once, and RIP goes on. */
import { clause } from '../clause.js';
import type { ContractClause, Subject } from '../clause.js';
import { CPUID, END, NOP, REPORT_EAX, littleEndian, rdmsr, report, wrmsr } from '../guest.js';
import { ContractRig } from '../rig.js';
import type { AskedFor } from '../watched.js';

const HV_GUEST_OS_ID = 0x40000000;
const HV_VP_INDEX = 0x40000002;
/** An address above all RAM that no device claims. */
const NOWHERE = 0xf000_1230;
const LIMIT_US = 10_000;

/** Runs a program to its end in a partition of its own; what was asked for beyond its reports. */
function runProgram({ backing, require }: Subject, program: readonly string[]): { readonly asked: readonly AskedFor[]; readonly reports: readonly number[] } {
  const rig = new ContractRig({ backing }, { programs: [[...program, END]] });
  const { reason } = rig.run(LIMIT_US);
  require(rig.record.ended, `the guest did not come to its end: ${reason}`);
  return { asked: rig.record.asked.filter(({ what }) => what !== 'writePort' && what !== 'fatal'), reports: rig.record.reports };
}

const hex = (values: readonly number[]): string => values.map((value) => `0x${value.toString(16)}`).join(', ');

function requireAsked({ require }: Subject, asked: readonly AskedFor[], what: AskedFor['what'], operands: readonly number[]): AskedFor {
  const such = asked.filter((request) => request.what === what);
  require(such.length === 1, `${what} was called ${such.length} times for one instruction`);
  require(such[0]!.operands.join() === operands.join(), `${what} was called with ${hex(such[0]!.operands)} instead of ${hex(operands)}`);
  return such[0]!;
}

function requireReports({ require }: Subject, reports: readonly number[], expected: readonly number[], what: string): void {
  require(reports.join() === expected.map((value) => value >>> 0).join(), `${what}: the guest saw ${hex(reports)} instead of ${hex(expected.map((value) => value >>> 0))}`);
}

export const exitClauses: readonly ContractClause[] = [
  clause('cpuid-exits', 'CPUID ends in the handler with leaf and subleaf, and the four registers in the guest', (subject) => {
    // mov eax, 0x40000003; mov ecx, 5; cpuid; report eax; then ebx, ecx, edx, kept in r8d, r9d and r10d meanwhile.
    const keep = '4189d8 4189c9 4189d2';
    const { asked, reports } = runProgram(subject, ['b803000040 b905000000', CPUID, keep, REPORT_EAX, '4489c0', REPORT_EAX, '4489c8', REPORT_EAX, '4489d0', REPORT_EAX]);
    const { answer } = requireAsked(subject, asked, 'cpuid', [0, 0x40000003, 5]);
    requireReports(subject, reports, answer, 'CPUID');
  }),

  clause('msr-exits', 'RDMSR and WRMSR of an MSR the paravisor keeps end in the handlers, 64 bits each way', (subject) => {
    // The value read back, EDX by way of r8d; RAX had bits above 31, which RDMSR clears: shr rax, 32 reads 0.
    const value = { low: 0x89abcdef, high: 0x00012345 };
    const { asked, reports } = runProgram(subject, [
      wrmsr(HV_GUEST_OS_ID, value.low, value.high),
      '48b8ffffffffffffffff 4889c2',
      rdmsr(HV_GUEST_OS_ID),
      '4189d0 4989c1',
      REPORT_EAX,
      '4489c0',
      REPORT_EAX,
      '4c89c8 48c1e820',
      REPORT_EAX,
    ]);
    requireAsked(subject, asked, 'writeMsr', [0, HV_GUEST_OS_ID, value.high * 2 ** 32 + value.low]);
    requireAsked(subject, asked, 'readMsr', [0, HV_GUEST_OS_ID]);
    requireReports(subject, reports, [value.low, value.high, 0], 'RDMSR');
  }),

  clause('port-io-exits', 'IN and OUT of 1, 2 and 4 bytes end in the handlers with port, size and value, and IN changes as much of RAX as it should', (subject) => {
    const { backing, require } = subject;
    // mov rax, 0x1122334455667788; mov dx, 0x77; out dx, al / ax / eax; in al, dx …: rax >> 32 tells whether the upper half was touched.
    const load = '48b8 8877665544332211';
    const upper = '48c1e820';
    const rig = new ContractRig({ backing }, {
      programs: [[load, '66ba7700 ee 66ef ef', 'ec', '4989c0', REPORT_EAX, '4c89c0', upper, REPORT_EAX, load, '66ba7700 66ed', REPORT_EAX, load, '66ba7700 ed 4989c0', REPORT_EAX, '4c89c0', upper, REPORT_EAX, END]],
    });
    rig.run(LIMIT_US);
    const writes = rig.record.asked.filter(({ what, operands: [port] }) => what === 'writePort' && port === 0x77).map(({ operands }) => operands.slice(1));
    require(JSON.stringify(writes) === JSON.stringify([[1, 0x88], [2, 0x7788], [4, 0x55667788]]), `OUT of three sizes arrived as ${JSON.stringify(writes)}`);
    const reads = rig.record.asked.filter(({ what }) => what === 'readPort').map(({ operands }) => operands);
    require(JSON.stringify(reads) === JSON.stringify([[0x77, 1], [0x77, 2], [0x77, 4]]), `IN of three sizes arrived as ${JSON.stringify(reads)}`);
    // Nobody is at port 0x77: every bit reads 1. IN EAX clears the upper half of RAX, the narrower ones leave it.
    requireReports(subject, rig.record.reports, [0x556677ff, 0x11223344, 0x5566ffff, 0xffffffff, 0], 'IN');
  }),

  clause('string-io-exits', 'a string instruction on a port ends in emulateStringIo', (subject) => {
    // mov esi, 0x3000; mov ecx, 3; mov dx, 0x77; rep outsb.
    const { asked } = runProgram(subject, ['be00300000 b903000000 66ba7700 f36e']);
    const strings = asked.filter(({ what }) => what === 'emulateStringIo');
    subject.require(strings.length >= 1, 'REP OUTSB never reached emulateStringIo');
  }),

  clause('halt-exits', 'HLT ends in the handler, once, with RIP behind it', (subject) => {
    const { backing, require } = subject;
    const rig = new ContractRig({ backing }, { programs: [['f4', report(7), END]] });
    rig.rounds(10, () => rig.record.asked.length > 0);
    require(rig.record.asked[0]?.what === 'halt', `HLT ended in ${rig.record.asked[0]?.what ?? 'nothing'}`);
    rig.rounds(10, () => rig.record.ended);
    requireReports(subject, rig.record.reports, [7], 'after HLT');
    require(rig.record.asked.filter(({ what }) => what === 'halt').length === 1, 'one HLT halted more than once');
  }),

  clause('hypercall-exits', "the vendor's hypercall instruction ends in the handler, its result in RAX, RIP behind it", (subject) => {
    const vmcall = subject.backing.machine.processorVendor === 'intel' ? '0f01c1' : '0f01d9';
    // mov ecx, 0x7fff | fast bit 16: a call code nobody has. The status is HV_STATUS_INVALID_HYPERCALL_CODE, 2.
    const { asked, reports } = runProgram(subject, ['b9ff7f0100 31d2 4531c0', vmcall, REPORT_EAX]);
    requireAsked(subject, asked, 'hypercall', [0]);
    requireReports(subject, reports, [2], 'the hypercall');
  }),

  clause('mmio-exits', 'an access outside RAM ends in emulateMmio with its guest physical address, and the instruction is finished', (subject) => {
    const { asked, reports } = runProgram(subject, [`bf ${littleEndian(NOWHERE, 4)} b8 78563412 8907`, '8b07', REPORT_EAX]);
    const accesses = asked.filter(({ what }) => what === 'emulateMmio');
    subject.require(accesses.length === 2, `two accesses reached emulateMmio ${accesses.length} times`);
    for (const { operands } of accesses) {
      subject.require(operands[0] === 0 && Math.floor(operands[1]! / 4096) === Math.floor(NOWHERE / 4096), `an access of ${hex([NOWHERE])} arrived as ${hex(operands.slice(1))}`);
    }
    requireReports(subject, reports, [0xffffffff], 'a load from nowhere');
  }),

  clause('exits-are-counted', 'every return of the run ioctl is a user exit, every exit of an entered VTL a paravisor exit, each under a name that says why', (subject) => {
    const { backing, require } = subject;
    const rig = new ContractRig({ backing }, { programs: [[CPUID, rdmsr(HV_VP_INDEX), NOP, 'f4', report(1), END]] });
    const exitsBefore = rig.partition.ledger.snapshot();
    rig.rounds(20, () => rig.record.ended);
    rig.round({ cancel: true });
    const { paravisor, user, byReason } = rig.partition.ledger.snapshot();
    require(user - exitsBefore.user === rig.record.runs, `the run ioctl returned ${rig.record.runs} times, and ${user - exitsBefore.user} user exits are counted`);
    require(paravisor - exitsBefore.paravisor === rig.record.runs - 1, `${rig.record.runs - 1} runs entered the lower VTL, and ${paravisor - exitsBefore.paravisor} paravisor exits are counted`);
    for (const destination of ['paravisor', 'user'] as const) {
      const { other = 0, ...named } = byReason[destination];
      require(other === 0, `${other} ${destination} exits are counted as "other", though CPUID, RDMSR, HLT and OUT all have names`);
      for (const reason of ['cpuid', 'msr_read', 'hlt'] as const) require(named[reason] === 1, `${named[reason] ?? 0} ${destination} exits are counted as ${reason} for one such instruction`);
    }
    require(byReason.user.cancelled === 1, `a cancelled run counts ${byReason.user.cancelled ?? 0} times as cancelled`);
  }),
];

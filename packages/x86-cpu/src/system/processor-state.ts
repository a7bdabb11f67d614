import { Costed, ExitKind } from '../contract.js';
import { Op } from '../decode/op.js';
import { StateOffset } from '../memory/layout.js';
import { Flag } from '../microop/flags.js';
import { Vector } from '../processor/fault.js';
import { Cr4, highHalf, lowHalf, Shadow } from '../processor/registers.js';
import type { Core } from '../processor/core.js';
import { cpuidOf } from './cpuid.js';
import { requireRing0 } from './operands.js';
import { intercept, Outcome } from './outcome.js';
import type { SystemInstructions } from './outcome.js';

/** Instructions about the processor itself: identification, time, idling, caches, interrupt flag, calls to a host. */
export const processorState: SystemInstructions = new Map();

const RAX = 0;
const RCX = 1;
const RDX = 2;
const RBX = 3;

const leaf = new Int32Array(4);

function costed(core: Core, kind: number): Outcome {
  core.exit.kind = kind;
  return Outcome.Costed;
}

processorState.set(Op.Cpuid, (core) => {
  if (core.intercepts.cpuid) return intercept(core, ExitKind.Cpuid);
  const { registers } = core;
  cpuidOf(core.vendor, registers.gprLo(RAX), registers.gprLo(RCX), leaf);
  registers.setGpr(RAX, leaf[0]!, 0);
  registers.setGpr(RBX, leaf[1]!, 0);
  registers.setGpr(RCX, leaf[2]!, 0);
  registers.setGpr(RDX, leaf[3]!, 0);
  return costed(core, Costed.Cpuid);
});

for (const op of [Op.Rdtsc, Op.Rdtscp] as const) {
  processorState.set(op, (core) => {
    const { registers } = core;
    if (registers.lo(StateOffset.cr4) & Cr4.tsd && registers.cpl !== 0) core.raise(Vector.gp, 0);
    if (core.intercepts.rdtsc) return intercept(core, ExitKind.Rdtsc);
    if (!core.tscReadable) return Outcome.Unreadable;
    const tsc = core.readTsc();
    registers.setGpr(RAX, lowHalf(tsc), 0);
    registers.setGpr(RDX, highHalf(tsc), 0);
    if (op === Op.Rdtscp) registers.setGpr(RCX, registers.lo(StateOffset.tscAux), 0);
    return costed(core, Costed.Rdtsc);
  });
}

processorState.set(Op.Rdpmc, (core) => {
  if (core.registers.cpl !== 0 && !(core.registers.lo(StateOffset.cr4) & Cr4.pce)) core.raise(Vector.gp, 0);
  if (core.intercepts.rdpmc) return intercept(core, ExitKind.Rdpmc);
  return core.raise(Vector.gp, 0);
});

processorState.set(Op.Hlt, (core) => {
  requireRing0(core);
  return core.intercepts.hlt ? intercept(core, ExitKind.Hlt) : Outcome.Halted;
});

processorState.set(Op.Pause, (core) => (core.intercepts.pause ? intercept(core, ExitKind.Pause) : costed(core, Costed.Pause)));

for (const op of [Op.Wbinvd, Op.Wbnoinvd] as const) {
  processorState.set(op, (core) => {
    requireRing0(core);
    return core.intercepts.wbinvd ? intercept(core, ExitKind.Wbinvd) : costed(core, Costed.Wbinvd);
  });
}
processorState.set(Op.Invd, (core) => {
  requireRing0(core);
  return core.intercepts.invd ? intercept(core, ExitKind.Invd) : Outcome.Done;
});

/** MONITOR and MWAIT are not reported by CPUID: without an intercept they are #UD. */
processorState.set(Op.Monitor, (core) => (core.intercepts.monitor ? intercept(core, ExitKind.Monitor) : core.raise(Vector.ud, -1)));
processorState.set(Op.Mwait, (core) => (core.intercepts.monitor ? intercept(core, ExitKind.Mwait) : core.raise(Vector.ud, -1)));

processorState.set(Op.Vmcall, (core) => {
  if (core.vendor !== 'intel' || !core.intercepts.vmcall) core.raise(Vector.ud, -1);
  return intercept(core, ExitKind.Vmcall);
});
processorState.set(Op.Vmmcall, (core) => {
  if (core.vendor !== 'amd' || !core.intercepts.vmcall) core.raise(Vector.ud, -1);
  return intercept(core, ExitKind.Vmmcall);
});
processorState.set(Op.Vmgexit, (core) => {
  if (core.vendor !== 'amd' || !core.intercepts.vmcall) core.raise(Vector.ud, -1);
  return intercept(core, ExitKind.Vmgexit);
});
processorState.set(Op.Tdcall, (core) => {
  if (core.vendor !== 'intel' || !core.intercepts.tdcall) core.raise(Vector.ud, -1);
  return intercept(core, ExitKind.Tdcall);
});

processorState.set(Op.Sti, (core) => {
  if (!core.registers.hasIoPrivilege) core.raise(Vector.gp, 0);
  const flags = core.registers.systemFlags;
  // Only an STI that changes IF holds interrupts off for one more instruction (SDM volume 2, STI).
  if (!(flags & Flag.if)) core.block(Shadow.sti);
  core.writeSystemFlags(flags | Flag.if);
  return Outcome.Done;
});
for (const op of [Op.Clac, Op.Stac] as const) {
  processorState.set(op, (core) => {
    if (core.registers.cpl !== 0) core.raise(Vector.ud, -1);
    const flags = core.registers.systemFlags;
    core.writeSystemFlags(op === Op.Stac ? flags | Flag.ac : flags & ~Flag.ac);
    return Outcome.Done;
  });
}

processorState.set(Op.Popf, (core, instruction) => {
  const { registers } = core;
  const size = instruction.operandSize;
  const stack = core.stack.open();
  const value = stack.popLow(size);
  const old = core.readFlags();
  // IOPL changes in ring 0 only, IF with enough privilege for it; VIF, VIP, VM and RF never (SDM volume 2, POPF).
  let writable: number = Flag.cf | Flag.pf | Flag.af | Flag.zf | Flag.sf | Flag.tf | Flag.df | Flag.of | Flag.nt;
  if (size > 2) writable |= Flag.ac | Flag.id;
  if (registers.cpl === 0) writable |= Flag.iopl;
  if (registers.hasIoPrivilege) writable |= Flag.if;
  core.writeFlags((old & ~writable) | (value & writable));
  stack.commit();
  return Outcome.Done;
});

for (const op of [Op.Ud0, Op.Ud1, Op.Ud2] as const) processorState.set(op, (core) => core.raise(Vector.ud, -1));

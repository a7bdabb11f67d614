/**
 * What each crossing costs, in TSC ticks. VTL2's code takes no time while it runs in JavaScript: these figures are all the time it takes. None is a
 * measurement of this model's own: each either names where it comes from, or says that it is an assumption and why it has the size it has.
 */

/** One figure of the model. */
export interface CostFigure {
  /** TSC ticks. */
  readonly ticks: number;
  /** The least an override may say: crossings that every loop of VTL2 passes must take time, or a loop could stand still in it. */
  readonly minimum: number;
  /** What is charged, and at which moment. */
  readonly what: string;
  /** True when no public source gives the figure. */
  readonly assumption: boolean;
  /** Where the figure comes from, or the reason for its size. */
  readonly source: string;
}

/** The default figures by name, for a processor of about 2 GHz. */
export const costFigures = {
  vmEntry: {
    ticks: 1500,
    minimum: 0,
    what: 'entry of a lower VTL, from the VTL2 kernel to the first guest instruction',
    assumption: true,
    source: 'half of a nested-style world switch of a few thousand cycles; public figures for TD partitioning and VMPLs do not exist',
  },
  vmExit: {
    ticks: 1500,
    minimum: 1,
    what: 'exit of a lower VTL, from the guest instruction to the VTL2 kernel',
    assumption: true,
    source: 'as vmEntry: the other half of the world switch',
  },
  kernelToUser: {
    ticks: 500,
    minimum: 1,
    what: 'return of an ioctl to user mode',
    assumption: true,
    source: 'a system call with mitigations takes some hundred cycles each way',
  },
  userToKernel: { ticks: 500, minimum: 0, what: 'entry of an ioctl from user mode', assumption: true, source: 'as kernelToUser' },
  vmmEmulation: {
    ticks: 2000,
    minimum: 0,
    what: "user mode's work on one exit, charged with the return of `run` that brings it",
    assumption: true,
    source: 'about a microsecond for dispatch, SynIC scan and APIC poll in user mode',
  },
  tdcall: {
    ticks: 1000,
    minimum: 0,
    what: 'one TDCALL leaf other than TDG.VP.ENTER',
    assumption: true,
    source: 'a SEAM transition each way, without the state of a world switch',
  },
  pvalidate: { ticks: 500, minimum: 0, what: 'one PVALIDATE', assumption: true, source: 'an RMP update, a few cache misses' },
  rmpadjust: { ticks: 500, minimum: 0, what: 'one RMPADJUST', assumption: true, source: 'an RMP update, a few cache misses' },
  kernelInterrupt: {
    ticks: 800,
    minimum: 1,
    what: "the VTL2 kernel's interrupt entry, handler and return, once for all interrupts pending together",
    assumption: true,
    source: 'an interrupt gate and a clock event handler take some hundred cycles',
  },
  vtl2Rdtsc: {
    ticks: 25,
    minimum: 0,
    what: 'RDTSC in VTL2, the vDSO clock included',
    assumption: false,
    source: 'Agner Fog, Instruction tables: RDTSC has a reciprocal throughput of 25 cycles on Skylake',
  },
  hostTimerArm: {
    ticks: 4000,
    minimum: 0,
    what: "VTL2 programs its clock event device: one exit to the host hypervisor and back (`timer_arm`)",
    assumption: true,
    source: 'an MSR write that leaves a confidential VM goes through its firmware or GHCB, about two microseconds',
  },
  hostInterrupt: {
    ticks: 4000,
    minimum: 0,
    what: 'the host interrupts VTL2: one exit to the host hypervisor and back (`timer_expiry`, `host_interrupt`)',
    assumption: true,
    source: 'as hostTimerArm: leaving and re-entering a confidential VM',
  },
  hostHalt: {
    ticks: 2000,
    minimum: 0,
    what: 'VTL2 halts: the way to the host hypervisor (`halt`)',
    assumption: true,
    source: 'half of hostTimerArm: one way only',
  },
  hostWake: {
    ticks: 6000,
    minimum: 0,
    what: 'the host schedules a halted VTL2 again, up to its first instruction',
    assumption: true,
    source: "the way back plus the host scheduler's wake-up, some microseconds",
  },
  hostCall: {
    ticks: 4000,
    minimum: 0,
    what: 'any other call of VTL2 to the host hypervisor and back: hypercall, synthetic MSR',
    assumption: true,
    source: 'as hostTimerArm: leaving and re-entering a confidential VM',
  },
  vmplSwitch: {
    ticks: 4000,
    minimum: 0,
    what: 'one VMPL switch through the host (`vmpl_switch`)',
    assumption: true,
    source: 'as hostTimerArm: the host takes the exit and runs another VMSA',
  },
  guestRdtsc: {
    ticks: 25,
    minimum: 0,
    what: 'RDTSC or RDTSCP in a lower VTL, above the instruction itself',
    assumption: false,
    source: 'Agner Fog, Instruction tables: RDTSC has a reciprocal throughput of 25 cycles on Skylake',
  },
  guestPause: {
    ticks: 140,
    minimum: 0,
    what: 'PAUSE in a lower VTL, above the instruction itself',
    assumption: false,
    source: 'Intel 64 and IA-32 Architectures Optimization Reference Manual: PAUSE takes as many as 140 cycles since Skylake',
  },
  guestCpuid: {
    ticks: 100,
    minimum: 0,
    what: 'CPUID in a lower VTL where it is not intercepted, above the instruction itself',
    assumption: false,
    source: 'Agner Fog, Instruction tables: CPUID takes 100 to 250 cycles on Skylake',
  },
  guestWbinvd: {
    ticks: 20000,
    minimum: 0,
    what: 'WBINVD in a lower VTL where it is not intercepted, above the instruction itself',
    assumption: true,
    source: 'the cache hierarchy is written back; its contents are not modelled',
  },
  guestEvent: {
    ticks: 2000,
    minimum: 1,
    what: 'an interrupt or exception in a lower VTL that follows another with no instruction between them',
    assumption: true,
    source: 'microcode, descriptor and stack accesses; 1 is the least with which a handler that faults at once does not hold its host for ever',
  },
} as const satisfies Readonly<Record<string, CostFigure>>;

export type CostName = keyof typeof costFigures;
/** Every cost's name, in the order of `costFigures`. */
export const costNames = Object.keys(costFigures) as readonly CostName[];

/** A named set of costs, printed with every report. */
export interface CostModel {
  readonly name: string;
  /** TSC ticks by name. */
  readonly ticks: Readonly<Record<CostName, number>>;
}

export const defaultCosts: CostModel = {
  name: 'paravisor-2ghz',
  ticks: Object.fromEntries(costNames.map((name) => [name, costFigures[name].ticks])) as Record<CostName, number>,
};

/** A cost override that names no cost, or gives it an impossible value. `code` is stable. */
export class CostError extends Error {
  readonly code: 'unknown-cost' | 'bad-cost';
  constructor(code: CostError['code'], message: string) {
    super(message);
    this.name = 'CostError';
    this.code = code;
  }
}

/** No override may exceed this many ticks: a clock that is charged so much twice a tick still lasts. */
const MAX_COST_TICKS = 2 ** 40;

/**
 * `base` with some figures replaced. A model with replaced figures carries them in its name.
 * @throws {CostError} for a name that is no cost, or a value that is not an integer from the figure's minimum to 2^40.
 */
export function withCosts(base: CostModel, overrides: Readonly<Record<string, number>>): CostModel {
  const changed = Object.entries(overrides);
  if (changed.length === 0) return base;
  const ticks: Record<CostName, number> = { ...base.ticks };
  for (const [name, value] of changed) {
    if (!isCostName(name)) throw new CostError('unknown-cost', `unknown cost '${name}'; the costs are ${costNames.join(', ')}`);
    const { minimum } = costFigures[name];
    if (!Number.isSafeInteger(value) || value < minimum || value > MAX_COST_TICKS) {
      throw new CostError('bad-cost', `cost '${name}' must be an integer from ${minimum} to ${MAX_COST_TICKS} ticks, not ${value}`);
    }
    ticks[name] = value;
  }
  return { name: `${base.name} with ${changed.map(([name, value]) => `${name}=${value}`).join(', ')}`, ticks };
}

const isCostName = (name: string): name is CostName => Object.hasOwn(costFigures, name);

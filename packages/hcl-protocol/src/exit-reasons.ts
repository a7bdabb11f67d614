/**
 * The names by which every exit is counted. Paravisor and user reasons carry openvmm's counter names (`tdx/mod.rs`,
 * `snp/mod.rs`); hypervisor reasons are the model's own. Three things are called an exit, and are counted apart:
 * a *paravisor* exit is a return from a lower VTL that was really entered; a *user* exit is a return of the `run` ioctl; a
 * *hypervisor* exit hands control to L0.
 */

const tdx = [
  'timer_expired',
  'msr_read',
  'msr_write',
  'ept_violation',
  'hw_interrupt',
  'smi_intr',
  'interrupt_window',
  'nmi_window',
  'hlt',
  'cpuid',
  'io',
  'vmcall',
  'tdcall',
  'cr_access',
  'wbinvd',
  'xsetbv',
  'pause',
  'tpr_below_threshold',
  'exception',
  'descriptor_table',
  'needs_interrupt_reinject',
] as const;

const snp = [
  'npf',
  'npf_spurious',
  'npf_no_intercept',
  'ioio',
  'msr_read',
  'msr_write',
  'intr',
  'vintr',
  'hlt',
  'cpuid',
  'vmmcall',
  'vmgexit',
  'automatic_exit',
  'invd',
  'rdpmc',
  'xsetbv',
  'bus_lock',
] as const;

const both = ['cancelled', 'other'] as const;

const hypervisor = ['timer_arm', 'timer_expiry', 'halt', 'vmpl_switch', 'tdvmcall', 'vmgexit', 'host_interrupt', 'other'] as const;

/** Names by family: what each backing counts, what both count, and what the host counts. */
export const exitReasonsOf = { tdx, snp, both, hypervisor } as const;

/** Every exit-reason name once; a reason's number is its place in this list. */
export const exitReasonNames = [...new Set<ExitReasonName>([...tdx, ...snp, ...both, ...hypervisor])] as readonly ExitReasonName[];
export type ExitReasonName =
  | (typeof tdx)[number]
  | (typeof snp)[number]
  | (typeof both)[number]
  | (typeof hypervisor)[number];

/** Reason numbers by name, for ledgers that count in arrays. */
export const ExitReason = Object.fromEntries(exitReasonNames.map((name, number) => [name, number])) as Readonly<Record<ExitReasonName, number>>;

/** Where an exit went. */
export const ExitDestination = { Paravisor: 0, User: 1, Hypervisor: 2 } as const;
export type ExitDestination = (typeof ExitDestination)[keyof typeof ExitDestination];
export const exitDestinationNames = ['paravisor', 'user', 'hypervisor'] as const;

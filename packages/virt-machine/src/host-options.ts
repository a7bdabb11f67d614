/** How the host hypervisor, which a confidential VM does not trust, behaves towards VTL2. */

/** What the host does with VTL2's clock event device. */
export const hostTimerManners = [
  /** Each expiry is delivered once, at its tick. */
  'honest',
  /** No expiry is ever delivered. */
  'drop',
  /** Each expiry is delivered `delayNs` late. */
  'delay',
  /** Each expiry is delivered, and once more `repeatAfterNs` later. */
  'repeat',
  /** Expiries are delivered, and besides, from the start, the device's interrupt comes every `floodPeriodNs`, on every VP. */
  'flood',
] as const;
export type HostTimerManner = (typeof hostTimerManners)[number];

/** The figures of `hostTimerManners`, virtual ns. */
export const hostTimerFigures = { delayNs: 5_000_000, repeatAfterNs: 50_000, floodPeriodNs: 20_000 } as const;

/** What the host answers when VTL2 asks: its synthetic MSRs, VP registers and hypercalls. */
export const hostAnswerManners = [
  'honest',
  /** Every value has `NONSENSE` in its low half, bit for bit exclusive-ored; every call succeeds, and what it is to give back is filled with it. */
  'nonsense',
] as const;
export type HostAnswerManner = (typeof hostAnswerManners)[number];

export const NONSENSE = 0x5a5a5a5a;

/** The host of a machine. What is left out is honest. */
export interface HostOptions {
  readonly timer?: HostTimerManner;
  readonly answers?: HostAnswerManner;
}

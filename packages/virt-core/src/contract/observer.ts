import type { ReadonlyU64 } from '@paravisor/hcl-protocol';

/** Which guest timer an event is about. */
export const TimerSource = { Stimer0: 0, Stimer1: 1, Stimer2: 2, Stimer3: 3, Apic: 4 } as const;
export const timerSourceNames = ['stimer0', 'stimer1', 'stimer2', 'stimer3', 'apic'] as const;

/**
 * Watches guest timers as the paravisor knows them. Reference times in 100 ns; the cells are the caller's. Methods are called on the hot path:
 * they must not throw, and the default observer does nothing.
 */
export interface TimerObserver {
  /** A guest write gave a timer a due time; periodic reloads are not reported. */
  armed(vp: number, vtl: number, source: number, due: ReadonlyU64): void;
  /** The timer's message was stored or its vector set in IRR, at reference time `now`. */
  delivered(vp: number, vtl: number, source: number, due: ReadonlyU64, now: ReadonlyU64): void;
}

export const silentTimerObserver: TimerObserver = { armed() {}, delivered() {} };

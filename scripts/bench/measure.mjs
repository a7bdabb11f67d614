/**
 * One measurement of `npm run bench`, in a process of its own so that no measurement finds another's warm or spoilt code:
 * node scripts/bench/measure.mjs NAME [CONFIGURATION]. Prints one number.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { measure } from 'mitata';
import { root } from '../workspace.mjs';
import { bundledLibrary } from './bundled.mjs';

const { TscDeadlineService, TscDeadlineState, U64, createPartition, readTmk, snpBacking, tdxBacking, tdxL2TscDeadlineLayout, tmkLoader, viewOf } = await bundledLibrary();
const guestFile = (name) => join(root, 'packages', 'tmk-guests', 'elf', `${name}.elf`);

/** A partition's options by the words of a report. */
const configurations = {
  'tdx, hardware timer': { backing: tdxBacking, guestTimer: 'hardware' },
  'tdx, VmTime': { backing: tdxBacking, guestTimer: 'vmtime' },
  'snp, VmTime': { backing: snpBacking, guestTimer: 'vmtime' },
};

/** mov ecx, HV_X64_MSR_TIME_REF_COUNT; L: rdmsr; jmp L. A guest that does nothing but exit. */
const EXITING = Uint8Array.of(0xb9, 0x20, 0x00, 0x00, 0x40, 0x0f, 0x32, 0xeb, 0xfc);
const EXITING_AT = 0x200000;

/** Makes and runs a partition until V8 has compiled what it runs, then once more: its ledger, its timers, and the run's wall-clock seconds. */
function runWarm(configuration, image, index, timeoutNs) {
  const { backing, guestTimer } = configurations[configuration];
  const run = () => {
    const partition = createPartition({ backing: backing(), guestTimer, load: tmkLoader(image, index) });
    const began = performance.now();
    partition.run({ timeoutNs });
    return { partition, seconds: (performance.now() - began) / 1000 };
  };
  const warm = performance.now() + WARM_UP_MS;
  for (let runs = 0; runs < WARM_UP_RUNS || performance.now() < warm; runs++) run();
  return run();
}

/** At least so many runs, and at least so long: on a busy machine V8 compiles late. */
const WARM_UP_RUNS = 3;
const WARM_UP_MS = 1500;

const measurements = {
  /** Exits to user-mode OpenHCL a second: each is decoded, dispatched, scanned for timers and entered again. */
  exits(configuration) {
    const image = { entry: EXITING_AT, segments: [{ gpa: EXITING_AT, memoryBytes: 4096, contents: EXITING }], tests: [], end: EXITING_AT + 4096 };
    const { partition, seconds } = runWarm(configuration, image, 0, 0.5e9);
    return partition.ledger.snapshot().user / seconds;
  },

  /** A 1000 Hz guest that halts between its ticks: nanoseconds a tick, from arming to delivery and back into the guest's HLT. */
  tick(configuration) {
    const image = readTmk(readFileSync(guestFile('timers')));
    const index = image.tests.findIndex(({ name }) => name === 'timers::stimer_periodic_idle');
    const { partition, seconds } = runWarm(configuration, image, index, 10e9);
    return (1e9 * seconds) / partition.timers.expired;
  },

  /** Clear, update and end of TDX's deadline service, as one round of the VP loop calls them; the deadline is another each time. */
  async deadline() {
    const service = new TscDeadlineService(2e9);
    const [tsc, now, next] = [U64.of(1n), U64.of(1n), U64.of(2n)];
    const vp = {
      tscDeadline: new TscDeadlineState(),
      deadlinePage: viewOf(tdxL2TscDeadlineLayout, new Uint8Array(tdxL2TscDeadlineLayout.size)),
      rdtsc: (out) => void out.set(tsc),
    };
    const round = () => {
      next.lo = (next.lo + 7) | 0;
      service.clearDeadline(vp);
      service.updateDeadline(vp, now, next);
      service.endLowerVtlRun(vp);
    };
    return (await measure(round)).p50;
  },
};

const [name, ...args] = process.argv.slice(2);
console.log(await measurements[name](...args));

/** Runs a test of a guest under every backing and timer, off the page's own thread. */
import { snpBacking } from '../../../packages/backing-snp/dist/index.js';
import { tdxBacking } from '../../../packages/backing-tdx/dist/index.js';
import { createPartition, readTmk, tmkLoader } from '../../../packages/partition/dist/index.js';

const choices = [
  { name: 'tdx', backing: tdxBacking, guestTimer: 'hardware' },
  { name: 'tdx', backing: tdxBacking, guestTimer: 'vmtime' },
  { name: 'snp', backing: snpBacking, guestTimer: 'vmtime' },
];

const TEN_SECONDS_NS = 10e9;

/** From the page: the guest's file, and which of its tests to run; without one, what tests there are is all it wants to know. */
addEventListener('message', ({ data: { file, test } }) => {
  const image = readTmk(new Uint8Array(file));
  if (test === undefined) postMessage({ tests: image.tests.map(({ name }) => name) });
  else for (const choice of choices) postMessage({ run: runOnce(image, test, choice), of: choices.length });
});

function runOnce(image, test, { name, backing, guestTimer }) {
  const index = image.tests.findIndex((one) => one.name === test);
  const began = performance.now();
  const partition = createPartition({ backing: backing(), guestTimer, load: tmkLoader(image, index) });
  const { kind, reason } = partition.run({ timeoutNs: TEN_SECONDS_NS });
  const { paravisor, user, hypervisor, byReason } = partition.ledger.snapshot();
  return {
    backing: name,
    guestTimer: partition.guestTimer,
    outcome: kind,
    reason,
    log: partition.log,
    instructions: partition.instructions,
    exits: { paravisor, user, hypervisor, armed: byReason.hypervisor.timer_arm ?? 0, expired: byReason.hypervisor.timer_expiry ?? 0 },
    timersExpired: partition.timers.expired,
    wallMs: performance.now() - began,
  };
}

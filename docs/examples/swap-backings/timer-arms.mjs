/** How often the host arms a timer for a guest that ticks 1000 times while it spins: never with TDX's L2 TSC deadline, once a tick or more on SNP. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { snpBacking } from '@paravisor/backing-snp';
import { tdxBacking } from '@paravisor/backing-tdx';
import { createPartition, readTmk, tmkLoader } from '@paravisor/partition';
const image = readTmk(readFileSync(new URL(import.meta.resolve('@paravisor/tmk-guests/elf/timers.elf'))));
const load = tmkLoader(image, image.tests.findIndex(({ name }) => name === 'timers::stimer_periodic_busy'));
for (const [backing, atLeast, atMost] of [[tdxBacking(), 0, 0], [snpBacking(), 1000, Infinity]]) {
  const partition = createPartition({ backing, load });
  assert.equal(partition.run({ timeoutNs: 10e9 }).kind, 'passed');
  const { timer_arm: arms = 0 } = partition.ledger.snapshot().byReason.hypervisor;
  assert.ok(arms >= atLeast && arms <= atMost, `${backing.name}: ${arms} timer_arm exits`);
  console.log(`${backing.name}: ${arms} timer_arm exits`);
}

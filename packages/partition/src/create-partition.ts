import { createParavisor } from '@paravisor/virt-core';
import { createMachine } from '@paravisor/virt-machine';
import { DeviceBus } from './chipset/chipset.js';
import { GuestRecord } from './guest-record.js';
import type { RunOutcome } from './guest-record.js';
import { timerObserverOf } from './observer.js';
import { checkOptions } from './options.js';
import type { PartitionOptions } from './options.js';
import { PartitionError } from './partition-error.js';
import { Partition } from './partition.js';
import { TimerStatistics } from './timer-statistics.js';
import { TmkCommandDevice } from './tmk/index.js';

/**
 * Makes a partition: the machine with the backing's machine half, the guest in its memory, the paravisor with the backing's own half, the chipset. No
 * guest instruction runs yet.
 *
 * Throws `PartitionError` for options that cannot be had, `ElfError` when the guest does not fit, `StartupError` when the paravisor cannot start.
 */
export function createPartition(options: PartitionOptions): Partition {
  const { backing, observer } = options;
  const checked = checkOptions(options);
  const machine = createMachine({
    backing: backing.machine,
    ramBytes: checked.ramBytes,
    tscHz: checked.tscHz,
    ips: checked.ips,
    vps: checked.vps,
    costs: checked.costs,
    seed: checked.seed,
    host: checked.host,
    ...(options.quantumTicks === undefined ? {} : { quantumTicks: options.quantumTicks }),
    ...(observer === undefined ? {} : { observer }),
  });
  const initialRegisters = options.load.load({ ramBytes: checked.ramBytes, write: (gpa, bytes) => machine.loadImage(gpa, bytes) });

  const record = new GuestRecord();
  const end = (outcome: RunOutcome): void => {
    record.end(outcome);
    machine.stop();
  };
  const chipset = new DeviceBus();
  chipset.add(
    new TmkCommandDevice(machine.hcl.memory, {
      log: (line) => record.log.add(line),
      ignored: (why) => record.ignored.add(why),
      panic: (message, file, line) => end({ kind: 'failed', reason: `panic at ${file}:${line}: ${message}` }),
      complete: (success) => end(success ? { kind: 'passed', reason: null } : { kind: 'failed', reason: 'the guest completed without success' }),
    }),
  );
  for (const device of options.devices ?? []) chipset.add(device);

  const statistics = new TimerStatistics();
  const paravisor = createParavisor({
    backing,
    hcl: machine.hcl,
    chipset,
    initialRegisters,
    disableLowerVtlTimerVirt: checked.disableLowerVtlTimerVirt,
    ownPorts: true,
    ...(options.guestVsm === undefined ? {} : { guestVsm: options.guestVsm }),
    timerObserver: timerObserverOf(statistics, observer, (vp) => machine.clocks[vp]!.now),
  });
  if (options.guestTimer === 'hardware' && !paravisor.usesHardwareTimer) {
    throw new PartitionError('no-hardware-timer', 'guestTimer', `the backing ${backing.name} has no hardware guest timer with these options: use guest timer auto or vmtime`);
  }
  return new Partition({ machine, paravisor, statistics, record, unclaimedWrites: chipset.unclaimedWrites });
}

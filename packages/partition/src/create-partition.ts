import type { Plain } from '@paravisor/hcl-protocol';
import { createParavisor } from '@paravisor/virt-core';
import type { Paravisor } from '@paravisor/virt-core';
import { createMachine } from '@paravisor/virt-machine';
import type { Board } from './chipset/board.js';
import { DeviceBus } from './chipset/chipset.js';
import { GuestRecord } from './guest-record.js';
import type { RunOutcome } from './guest-record.js';
import { LoadedGuest } from './loader/loaded-guest.js';
import { timerObserverOf } from './observer.js';
import { checkOptions } from './options.js';
import type { CheckedOptions, PartitionOptions } from './options.js';
import { PartitionError } from './partition-error.js';
import { Partition } from './partition.js';
import { openState, reading } from './state/partition-state.js';
import type { PartitionState } from './state/partition-state.js';
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
    quantumTicks: checked.quantumTicks,
    host: checked.host,
    vtl2TickHz: checked.vtl2TickHz,
    ...(observer === undefined ? {} : { observer }),
    ...(options.cpu === undefined ? {} : { cpu: options.cpu }),
  });
  const guest = new LoadedGuest(options.load, { ramBytes: checked.ramBytes, write: (gpa, bytes) => machine.loadImage(gpa, bytes) });

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
  const levelEoiListeners: ((vector: number) => void)[] = [];
  const board: Board = {
    tscHz: machine.tscHz,
    get now() {
      return machine.currentTick;
    },
    schedule: (tick, happen) => {
      const event = machine.schedule(tick, happen);
      return () => machine.unschedule(event);
    },
    onLevelEoi: (listener) => void levelEoiListeners.push(listener),
    signalMsi: (address, data) => paravisor.signalMsi(address, data),
    pulseLint: (vp, pin) => paravisor.pulseLint(vp, pin),
    end,
    vps: checked.vps,
    synic: {
      ports: () => paravisor.ports,
      signalSint: (vp, sint) => paravisor.vps[vp]!.signalSint(0, sint),
    },
  };
  for (const device of options.chipset?.(board) ?? []) chipset.add(device);

  const statistics = new TimerStatistics();
  const paravisor: Paravisor = createParavisor({
    backing,
    hcl: machine.hcl,
    chipset,
    initialRegisters: guest.initialRegisters,
    disableLowerVtlTimerVirt: checked.disableLowerVtlTimerVirt,
    ownPorts: true,
    ...(levelEoiListeners.length === 0 ? {} : { levelEoi: (vector: number) => levelEoiListeners.forEach((listener) => listener(vector)) }),
    ...(options.guestVsm === undefined ? {} : { guestVsm: options.guestVsm }),
    remedyAutoEoi: options.remedyAutoEoi ?? false,
    timerObserver: timerObserverOf(statistics, observer, (vp) => machine.clocks[vp]!.now),
  });
  if (options.guestTimer === 'hardware' && !paravisor.usesHardwareTimer) {
    throw new PartitionError('no-hardware-timer', 'guestTimer', `the backing ${backing.name} has no hardware guest timer with these options: use guest timer auto or vmtime`);
  }
  return new Partition({ machine, paravisor, statistics, record, chipset, identity: () => identityOf(options, checked, guest, chipset.size) });
}

/**
 * Makes a partition that goes on where a saved one stood, in every bit: run on, it does what the saved one would have done. `options` are those the saved
 * one was made with, the guest included; an observer may be another.
 *
 * Throws as `createPartition`, and `PartitionError` for a state that is newer, damaged, no state of a partition, or one of other options.
 */
export function restorePartition(options: PartitionOptions, state: PartitionState): Partition {
  const partition = createPartition(options);
  reading(() => partition.restore((own) => openState(state, own.options, own.state)));
  return partition;
}

/** Everything a partition's behaviour depends on, as plain data: a state goes into a partition of the same. */
function identityOf({ backing }: PartitionOptions, checked: CheckedOptions, guest: LoadedGuest, devices: number): { readonly [name: string]: Plain } {
  const { costs, host, vtl2TickHz, ...numbers } = checked;
  // Left out at its default: states from before there was a tick go on.
  const tick = vtl2TickHz === 0 ? {} : { vtl2TickHz };
  return { backing: backing.name, backingOptions: { ...backing.options }, ...numbers, ...tick, costs: { ...costs.ticks }, host: { ...host }, devices, guest: guest.digest() };
}

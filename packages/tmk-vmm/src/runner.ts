/** Runs tests: each in a fresh partition, under one backing and timer after another. */
import { performance } from 'node:perf_hooks';
import { ElfError, PartitionError, createPartition, tmkLoader } from '@paravisor/partition';
import type { Partition, PartitionObserver, PartitionOptions, RunOutcome, TmkTest } from '@paravisor/partition';
import { StartupError } from '@paravisor/virt-core';
import type { Backing } from '@paravisor/virt-core';
import type { MachineBacking } from '@paravisor/virt-machine';
import type { GuestTimerChoice } from './cli/commands.js';
import type { MachineOptions } from './cli/options.js';
import { UsageError } from './errors.js';
import type { GuestFile } from './guest-file.js';
import { ModelFault } from './model-fault.js';
import type { Progress } from './progress.js';
import { RecentEvents } from './recent-events.js';
import type { RunReport, TestReport } from './report-model.js';
import type { MachineChoices } from './settings.js';
import type { SelectedTest } from './test-selection.js';
import type { Trace } from './trace.js';

/** One backing with one timer. */
export interface RunPlan {
  readonly backing: Backing<MachineBacking>;
  readonly guestTimer: GuestTimerChoice;
}

/** What every run of one call shares. */
export interface RunContext {
  readonly version: string;
  readonly guest: GuestFile;
  readonly tests: readonly SelectedTest<TmkTest>[];
  readonly machine: MachineOptions;
  /** Host and partition, as far as they were set. */
  readonly choices: MachineChoices;
  /** OPENHCL_DISABLE_LOWER_VTL_TIMER_VIRT: concerns `auto` only. */
  readonly disableLowerVtlTimerVirt: boolean;
  readonly trace: Trace | undefined;
  readonly progress: Progress;
}

/** Runs the chosen tests. Throws `UsageError` when the partition cannot be made so, `ModelFault` when the model breaks. */
export function runTests(context: RunContext, plan: RunPlan): RunReport {
  const { backing } = plan;
  const tests: TestReport[] = [];
  let timer: Pick<RunReport, 'guestTimer' | 'usesHardwareTimer'> | undefined;
  for (const selected of context.tests) {
    context.progress.starting(backing.name, selected.test.name);
    const start = performance.now();
    const { partition, outcome } = runTest(context, plan, selected);
    timer = { guestTimer: partition.guestTimer, usesHardwareTimer: partition.usesHardwareTimer };
    tests.push(testReport(selected.test, partition, outcome, performance.now() - start));
  }
  if (!timer) throw new UsageError(`${context.guest.path}: no test is chosen: tmk-vmm list shows the guest's tests`);
  return { backing: backing.name, isolation: backing.isolation, ...timer, options: optionsOf(context, plan), tests };
}

/** Everything a run was made with that has a name for `--set`: the backing's options in force, and what was set of host and partition. */
function optionsOf({ choices }: RunContext, { backing }: RunPlan): Readonly<Record<string, string>> {
  return { ...backing.options, ...choices.options };
}

function runTest(context: RunContext, plan: RunPlan, selected: SelectedTest<TmkTest>): { partition: Partition; outcome: RunOutcome } {
  try {
    const partition = make(context, plan, selected, context.trace?.observe(plan.backing.name, selected.test.name));
    const outcome = partition.run({ timeoutNs: context.machine.timeoutNs });
    context.trace?.diagnose(partition.diagnostics);
    return { partition, outcome };
  } catch (error) {
    if (error instanceof UsageError) throw error;
    throw new ModelFault(error, {
      version: context.version,
      guest: { path: context.guest.path, sha256: context.guest.sha256 },
      test: selected.test.name,
      backing: plan.backing.name,
      options: optionsOf(context, plan),
      guestTimer: plan.guestTimer,
      machine: context.machine,
      lastEvents: replayForEvents(context, plan, selected),
    });
  }
}

/** What the command line says of a partition, whatever is loaded into it. */
export function partitionOptions(
  { machine, choices, disableLowerVtlTimerVirt }: Pick<RunContext, 'machine' | 'choices' | 'disableLowerVtlTimerVirt'>,
  { backing, guestTimer }: RunPlan,
): Omit<PartitionOptions, 'load'> {
  const { tscHz, ips, vps, memoryMiB, seed, costs, cpu } = machine;
  return { backing, guestTimer, disableLowerVtlTimerVirt: guestTimer === 'auto' && disableLowerVtlTimerVirt, tscHz, ips, vps, memoryMiB, seed, costs, cpu, ...choices.partition };
}

function make(context: RunContext, plan: RunPlan, { index }: SelectedTest<TmkTest>, observer: PartitionObserver | undefined): Partition {
  const { guest } = context;
  try {
    return createPartition({
      ...partitionOptions(context, plan),
      load: tmkLoader(guest.image, index),
      ...(observer === undefined ? {} : { observer }),
    });
  } catch (error) {
    if (error instanceof ElfError) throw new UsageError(`${guest.path}: ${error.message}`);
    if (error instanceof PartitionError) throw new UsageError(inFlags(error));
    if (error instanceof StartupError) throw new UsageError(`${plan.backing.name}: ${error.message}`);
    throw error;
  }
}

/** The model is deterministic: the events before a fault are had by running into it again, so a run without faults pays nothing for them. */
function replayForEvents(context: RunContext, plan: RunPlan, selected: SelectedTest<TmkTest>): readonly object[] {
  const recent = new RecentEvents(context.machine.tscHz);
  try {
    make(context, plan, selected, recent.observer).run({ timeoutNs: context.machine.timeoutNs });
  } catch {
    // The same fault again: what came before it is what this is for.
  }
  return recent.list();
}

function testReport(test: TmkTest, partition: Partition, { kind, reason }: RunOutcome, wallMs: number): TestReport {
  return {
    name: test.name,
    outcome: kind,
    expectedFailure: test.expectedFailure,
    ok: isOk(test.expectedFailure, kind),
    reason,
    log: [...partition.log],
    guest: { instructions: partition.instructions, virtualNs: partition.virtualNs },
    exits: partition.ledger.snapshot(),
    timers: partition.timers,
    wallMs: Math.round(wallMs * 1000) / 1000,
  };
}

/** An expected failure inverts the outcome (tmk_vmm); a test that never ends fails either way. */
function isOk(expectedFailure: boolean, outcome: RunOutcome['kind']): boolean {
  return expectedFailure ? outcome === 'failed' || outcome === 'faulted' : outcome === 'passed';
}

/** Options of the command line by the partition's names for them, where the two differ. */
const FLAGS: Partial<Record<PartitionError['option'], string>> = { tscHz: '--tsc-hz', ips: '--ips', memoryMiB: '--memory', seed: '--seed', vps: '--vps' };

/** A message that begins with the partition's name of an option, begun with the option as the user typed it. */
export function inFlags({ message, option }: PartitionError): string {
  const flag = FLAGS[option];
  return flag !== undefined && message.startsWith(option) ? `${flag}${message.slice(option.length)}` : message;
}

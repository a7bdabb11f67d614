/** Boots a kernel once: in a fresh partition, under one backing and timer. */
import { performance } from 'node:perf_hooks';
import { PartitionError, createPartition, multibootLoader, pcChipset } from '@paravisor/partition';
import type { Partition, PartitionObserver, RunOutcome, TestDeviceName } from '@paravisor/partition';
import { StartupError } from '@paravisor/virt-core';
import { asUsage } from './boot-files.js';
import type { KernelFile, ModuleFile } from './boot-files.js';
import type { BootRun } from './boot-report.js';
import type { MachineOptions } from './cli/options.js';
import { UsageError } from './errors.js';
import { ModelFault } from './model-fault.js';
import { RecentEvents } from './recent-events.js';
import { inFlags, partitionOptions } from './runner.js';
import type { RunPlan } from './runner.js';
import type { MachineChoices } from './settings.js';

/** What every run of one call shares. */
export interface BootContext {
  readonly version: string;
  readonly kernel: KernelFile;
  readonly commandLine: string;
  readonly modules: readonly ModuleFile[];
  readonly devices: readonly TestDeviceName[];
  readonly machine: MachineOptions;
  readonly choices: MachineChoices;
  readonly disableLowerVtlTimerVirt: boolean;
  /** Hears the serial port while it speaks: its bytes as they are. */
  readonly console: (bytes: Uint8Array) => void;
}

/** Boots. Throws `UsageError` when the partition cannot be made so, `ModelFault` when the model breaks. */
export function bootOnce(context: BootContext, plan: RunPlan): BootRun {
  const { backing, guestTimer } = plan;
  const options = { ...backing.options, ...context.choices.options };
  const start = performance.now();
  const text = new ConsoleText(context.console);
  try {
    const partition = make(context, plan, (byte) => text.add(byte), undefined);
    const outcome = partition.run({ timeoutNs: context.machine.timeoutNs });
    text.end();
    return { backing: backing.name, isolation: backing.isolation, guestTimer: partition.guestTimer, usesHardwareTimer: partition.usesHardwareTimer, options, ...ending(outcome), ...figures(partition, text.whole, start) };
  } catch (error) {
    if (error instanceof UsageError) throw error;
    throw new ModelFault(error, {
      version: context.version,
      guest: { path: context.kernel.path, sha256: context.kernel.sha256 },
      test: 'boot',
      backing: backing.name,
      options,
      guestTimer,
      machine: context.machine,
      lastEvents: replayForEvents(context, plan),
    });
  }
}

function make(context: BootContext, plan: RunPlan, serial: (byte: number) => void, observer: PartitionObserver | undefined): Partition {
  const { kernel, commandLine, modules, devices } = context;
  try {
    return createPartition({
      // A kernel that spins until a second interrupt has come is not to wait for ever.
      remedyAutoEoi: true,
      ...partitionOptions(context, plan),
      load: multibootLoader(kernel.image, { commandLine, modules: modules.map(({ module }) => module) }),
      chipset: pcChipset({ serial, testDevices: devices }),
      ...(observer === undefined ? {} : { observer }),
    });
  } catch (error) {
    if (error instanceof PartitionError) throw new UsageError(inFlags(error));
    if (error instanceof StartupError) throw new UsageError(`${plan.backing.name}: ${error.message}`);
    throw asUsage(kernel.path, error);
  }
}

function ending({ kind, reason, exitStatus }: RunOutcome): Pick<BootRun, 'outcome' | 'exitStatus' | 'reason'> {
  if (exitStatus !== undefined) return { outcome: 'exited', exitStatus, reason: null };
  // Without the exit port a kernel passes or fails only by a TMK command, which counts as an end without a status.
  return { outcome: kind === 'timeout' ? 'timeout' : 'faulted', exitStatus: null, reason };
}

function figures(partition: Partition, console: string, start: number): Pick<BootRun, 'console' | 'guest' | 'exits' | 'timers' | 'wallMs'> {
  return {
    console,
    guest: { instructions: partition.instructions, virtualNs: partition.virtualNs },
    exits: partition.ledger.snapshot(),
    timers: partition.timers,
    wallMs: Math.round((performance.now() - start) * 1000) / 1000,
  };
}

/** The model is deterministic: see `runTests`. */
function replayForEvents(context: BootContext, plan: RunPlan): readonly object[] {
  const recent = new RecentEvents(context.machine.tscHz);
  try {
    make(context, plan, () => {}, recent.observer).run({ timeoutNs: context.machine.timeoutNs });
  } catch {
    // The same fault again.
  }
  return recent.list();
}

/** What a report keeps of a console: a kernel in a loop must not fill the host's memory. */
const CHARACTERS_KEPT = 16 * 1024 * 1024;

/** Bytes of a serial port: handed on line by line, and kept as UTF-8 text. */
class ConsoleText {
  readonly #say: (bytes: Uint8Array) => void;
  readonly #decoder = new TextDecoder();
  #line: number[] = [];
  whole = '';

  constructor(say: (bytes: Uint8Array) => void) {
    this.#say = say;
  }

  add(byte: number): void {
    this.#line.push(byte);
    if (byte === NEWLINE || this.#line.length >= LONGEST_LINE) this.#flush(true);
  }

  end(): void {
    this.#flush(false);
  }

  #flush(more: boolean): void {
    const bytes = Uint8Array.from(this.#line);
    const text = this.#decoder.decode(bytes, { stream: more });
    this.#line = [];
    if (this.whole.length < CHARACTERS_KEPT) this.whole += text;
    if (bytes.length > 0) this.#say(bytes);
  }
}

const NEWLINE = 0x0a;
const LONGEST_LINE = 4096;

import { CostError, defaultCosts, withCosts } from '@paravisor/virt-machine';
import type { CostModel } from '@paravisor/virt-machine';
import { ALL_BACKINGS, checkSettings, chooseFactories, knownBackings, makeBacking, makeVariants } from '../backings.js';
import type { GivenOptions } from '../cli/argv.js';
import { runOptions } from '../cli/options.js';
import type { GuestTimerChoice } from '../cli/commands.js';
import type { RunnableBackingFactory } from '../compose.js';
import type { RunOptions } from '../cli/options.js';
import { compareRuns } from '../agreement.js';
import { UsageError } from '../errors.js';
import { readGuest } from '../guest-file.js';
import { meaningOf } from '../meaning.js';
import { OutputFile } from '../output.js';
import { ProgressLine } from '../progress.js';
import { allOk, reportHead } from '../report-model.js';
import type { CompareReport, ReportHead, RunReport } from '../report-model.js';
import { compareText } from '../reporters/compare-table.js';
import { toJson } from '../reporters/json.js';
import { render } from '../reporters/reporter.js';
import { styleFor, wantsColour } from '../reporters/style.js';
import type { Style } from '../reporters/style.js';
import { runTests } from '../runner.js';
import type { RunContext, RunPlan } from '../runner.js';
import { machineChoices } from '../settings.js';
import { selectTests } from '../test-selection.js';
import type { Terminal } from '../terminal.js';
import { Trace } from '../trace.js';

/** What a command has to say, and whether every test did as expected. */
export interface CommandResult {
  /** For stdout; empty when it went to a file. */
  readonly text: string;
  readonly ok: boolean;
  /** The process's exit status, when `ok` does not say it. */
  readonly status?: number;
}

/** Where the process stands: what is not in the argument vector. */
export interface Surroundings {
  readonly version: string;
  readonly terminal: Terminal;
}

/** `tmk-vmm run`: each chosen backing once, with the timer asked for. */
export async function run(positionals: readonly string[], given: GivenOptions, surroundings: Surroundings): Promise<CommandResult> {
  const options = runOptions(given, 'tdx');
  return report(positionals, options, surroundings, (chosen) => runPlans(chosen, options), async (head, runs) => {
    const chosen = new Set(options.settings.flatMap(({ backing, option }) => [option, `${backing}.${option}`]));
    return { text: await render(options.reporter, { schema: 'tmk-vmm/results@1', ...head, runs }, styleOf(options, surroundings), chosen), ok: allOk(runs) };
  });
}

/** `tmk-vmm compare`: every variant of every chosen backing under every timer it can have. */
export async function compare(positionals: readonly string[], given: GivenOptions, surroundings: Surroundings): Promise<CommandResult> {
  const options = runOptions(given, ALL_BACKINGS);
  return report(positionals, options, surroundings, (chosen) => comparePlans(chosen, options), async (head, runs) => {
    const agreement = compareRuns(runs);
    const comparison: CompareReport = { schema: 'tmk-vmm/compare@1', ...head, agreement, meaning: meaningOf(runs), runs };
    return { text: options.reporter === 'json' ? toJson(comparison) : compareText(comparison, styleOf(options, surroundings)), ok: allOk(runs) && agreement.same };
  });
}

/** None in files, whatever the terminal wants. */
function styleOf({ output }: RunOptions, { terminal }: Surroundings): Style {
  return styleFor(output === undefined && wantsColour(terminal.stdout, terminal.env));
}

/** Each factory once, with the timer asked for. */
export function runPlans(factories: readonly RunnableBackingFactory[], { settings, guestTimer }: RunOptions): RunPlan[] {
  return factories.map((factory) => ({ backing: makeBacking(factory, settings), guestTimer }));
}

function comparePlans(factories: readonly RunnableBackingFactory[], { settings, guestTimer: only }: RunOptions): RunPlan[] {
  const plans = factories.flatMap((factory) => {
    const timers: GuestTimerChoice[] = factory.usesHardwareTimer ? ['hardware', 'vmtime'] : ['vmtime'];
    const chosen = timers.filter((timer) => only === 'auto' || timer === only);
    return makeVariants(factory, settings).flatMap((backing) => chosen.map((guestTimer) => ({ backing, guestTimer })));
  });
  if (plans.length === 0) throw new UsageError(`--guest-timer ${only}: none of the backings chosen has a ${only} timer: choose others, or leave --guest-timer out`);
  return plans;
}

async function report(
  [path, ...patterns]: readonly string[],
  options: RunOptions,
  surroundings: Surroundings,
  plansFor: (factories: readonly RunnableBackingFactory[]) => readonly RunPlan[],
  show: (head: ReportHead, runs: readonly RunReport[]) => Promise<CommandResult>,
): Promise<CommandResult> {
  const guest = readGuest(path!);
  const costModel = costModelOf(options);
  const known = await knownBackings(options.plugins);
  checkSettings(known, options.settings);
  const plans = plansFor(chooseFactories(known, options.backings));
  const tests = selectTests(guest.image.tests, patterns);
  const output = options.output === undefined ? undefined : new OutputFile('output', options.output);
  const trace = options.trace === undefined ? undefined : new OutputFile('trace', options.trace);
  const progress = new ProgressLine(surroundings.terminal, plans.length * tests.length);
  const context: RunContext = {
    version: surroundings.version,
    guest,
    tests,
    machine: options.machine,
    choices: machineChoices(options.settings),
    disableLowerVtlTimerVirt: isSet(surroundings.terminal.env['OPENHCL_DISABLE_LOWER_VTL_TIMER_VIRT']),
    trace: trace && new Trace(trace, options.machine.tscHz),
    progress,
  };
  try {
    const runs = plans.map((plan) => runTests(context, plan));
    const result = await show(reportHead(surroundings.version, options.machine, costModel, guest), runs);
    if (!output) return result;
    output.write(result.text);
    return { ...result, text: '' };
  } finally {
    progress.end();
    output?.close();
    trace?.close();
  }
}

/** The cost model with what was replaced of it. Throws `UsageError`. */
export function costModelOf({ machine }: RunOptions): CostModel {
  try {
    return withCosts(defaultCosts, machine.costs);
  } catch (error) {
    if (error instanceof CostError) throw new UsageError(`--cost: ${error.message}`);
    throw error;
  }
}

/** As OpenHCL reads its boolean options from the environment. */
export function isSet(value: string | undefined): boolean {
  return value === '1' || value?.toLowerCase() === 'true';
}

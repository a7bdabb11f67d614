import { checkSettings, chooseFactories, knownBackings } from '../backings.js';
import { readKernel, readModule } from '../boot-files.js';
import { statusOf, summaryOf } from '../boot-report.js';
import type { BootReport, BootRun } from '../boot-report.js';
import { bootOnce } from '../boot-runner.js';
import type { BootContext } from '../boot-runner.js';
import type { GivenOptions } from '../cli/argv.js';
import { bootReporterNames, deviceNames } from '../cli/commands.js';
import { runOptions } from '../cli/options.js';
import type { BackingSetting } from '../cli/options.js';
import { suggestion } from '../cli/suggest.js';
import { UsageError } from '../errors.js';
import { OPENVMM_COMMIT } from '../report-model.js';
import { toJson } from '../reporters/json.js';
import { visible } from '../reporters/visible.js';
import { machineChoices } from '../settings.js';
import { costModelOf, isSet, runPlans } from './run.js';
import type { CommandResult, Surroundings } from './run.js';

/**
 * What is set unless the command says otherwise: a kernel's mistake is no end of its VP that neither hardware nor the other backing would make it, and an
 * event that a kernel counts comes once.
 */
const BOOT_SETTINGS = [
  { backing: 'tdx', option: 'remedyIllegalSelfIpi', value: 'on' },
  { backing: 'tdx', option: 'remedyRepeatedEvent', value: 'on' },
] as const satisfies readonly BackingSetting[];

/** `tmk-vmm boot <image>`: under each chosen backing once, with the timer asked for. The exit status is that of the run with the largest. */
export async function boot(path: string, given: GivenOptions, { version, terminal }: Surroundings): Promise<CommandResult> {
  const options = runOptions(given, 'tdx', { memoryMiB: 128, timeout: '60' });
  if (!(bootReporterNames as readonly string[]).includes(options.reporter)) throw new UsageError(`--reporter "${options.reporter}" is not one of boot's${suggestion(options.reporter, bootReporterNames)}`);
  const costModel = costModelOf(options);
  const known = await knownBackings(options.plugins);
  checkSettings(known, options.settings);
  const plans = runPlans(chooseFactories(known, options.backings), { ...options, settings: [...BOOT_SETTINGS, ...options.settings] });
  const pretty = options.reporter === 'pretty';
  const context: BootContext = {
    version,
    kernel: readKernel(path),
    commandLine: given.get('cmdline')?.[0] ?? '',
    modules: (given.get('initrd') ?? []).flatMap((list) => list.split(',')).map(readModule),
    devices: ['isa-debug-exit', ...devicesOf(given)],
    machine: options.machine,
    choices: machineChoices(options.settings),
    disableLowerVtlTimerVirt: isSet(terminal.env['OPENHCL_DISABLE_LOWER_VTL_TIMER_VIRT']),
    console: pretty ? (bytes) => void terminal.stdout.write(bytes) : () => {},
  };
  const runs: BootRun[] = [];
  for (const plan of plans) {
    const run = bootOnce(context, plan);
    if (pretty) terminal.stderr.write(`${visible(summaryOf(path, run))}\n`);
    runs.push(run);
  }
  const status = Math.max(...runs.map(statusOf));
  return { text: pretty ? '' : toJson(reportOf(context, costModel, runs)), ok: status === 1, status };
}

/** Each once, in the order of the table. */
function devicesOf(given: GivenOptions): (typeof deviceNames)[number][] {
  const names = given.get('device') ?? [];
  for (const name of names) {
    if (!(deviceNames as readonly string[]).includes(name)) throw new UsageError(`--device "${name}" is unknown${suggestion(name, deviceNames)}`);
  }
  return deviceNames.filter((name) => name !== 'isa-debug-exit' && names.includes(name));
}

function reportOf({ version, machine, kernel, commandLine, modules, devices }: BootContext, costModel: BootReport['costModel'], runs: readonly BootRun[]): BootReport {
  return {
    schema: 'tmk-vmm/boot@1',
    version,
    models: { openvmm: OPENVMM_COMMIT },
    seed: machine.seed,
    tscHz: machine.tscHz,
    ips: machine.ips,
    vps: machine.vps,
    memoryMiB: machine.memoryMiB,
    timeoutNs: machine.timeoutNs,
    costModel,
    image: { path: kernel.path, sha256: kernel.sha256 },
    commandLine,
    modules: modules.map(({ path, sha256 }) => ({ path, sha256 })),
    devices,
    runs,
  };
}

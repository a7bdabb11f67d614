/** Guest instructions a second by phase, of this project's processor and of others, each engine in a process of its own. */
import { isLinuxOnX64, qemuVersion, v86Version } from './peers.mjs';
import { phaseNames } from './phase-lines.mjs';
import { geomean, median, spread } from './statistics.mjs';

/** What each phase does. */
const phaseWork = {
  xorshift_crc32: 'xorshift and CRC-32 over 1 MiB',
  sieve: 'sieve of 2 million',
  sort_chase: 'quicksort and pointer chase over 256 K',
  hash64: '64-bit hash',
};

/** An engine runs each phase so often; in the first rounds a JIT compiles it. */
const ROUNDS = 4;
const WARM_UP_ROUNDS = 2;

const noQemu = 'qemu-system-x86_64 is not installed';

/** `args` are those of scripts/workload.mjs; `bits` the build of the workload; `absence()` says why an engine is not here, or null. */
const engines = [
  { name: 'paravisor', of: 'a partition under TDX, hardware timer', args: ['--engine', 'partition'] },
  { name: 'interpreter', of: 'the same by its interpreter, --cpu interpreter', args: ['--engine', 'partition', '--cpu', 'interpreter'] },
  { name: 'v86', of: 'v86, its JIT warm; 32-bit build', bits: 32, args: ['--engine', 'v86'], version: v86Version, absence: () => (v86Version() === null ? 'the package v86 is not installed' : null) },
  { name: 'qemu', of: 'QEMU, TCG', args: ['--engine', 'qemu'], version: qemuVersion, absence: () => (qemuVersion() === null ? noQemu : null) },
  { name: 'qemuIcount', of: 'QEMU, TCG, -icount shift=0', args: ['--engine', 'qemu', '--icount'], version: qemuVersion, absence: () => (qemuVersion() === null ? noQemu : null) },
  { name: 'native', of: "this machine's processor", args: ['--engine', 'native'], absence: () => (isLinuxOnX64() ? null : 'this is not Linux on x86-64') },
  { name: 'processor', of: 'the processor alone', args: ['--engine', 'processor'] },
  { name: 'slices10007', of: 'the processor alone, stopped after every 10,007 instructions', args: ['--engine', 'processor', '--slice', '10007'] },
  { name: 'slices1009', of: 'the processor alone, stopped after every 1,009', args: ['--engine', 'processor', '--slice', '1009'] },
  { name: 'busyTicks', of: 'a partition, 1000 Hz timer, --ips 2000000000', args: ['--engine', 'partition', '--ticks', '--ips', '2000000000'] },
];

/** Those that run here, as measures to take: the warm seconds of each phase. Others stay out of the rounds. */
export const speedMeasures = (node) =>
  engines.filter(({ absence }) => (absence?.() ?? null) === null).map(({ name, args }) => ({ name, take: () => warmPhases(node, args) }));

function warmPhases(node, args) {
  const { phases } = workload(node, [...args, '--rounds', String(ROUNDS)]);
  return Object.fromEntries(phaseNames.map((name) => [name, median(phases[name].rounds.slice(WARM_UP_ROUNDS).map(({ seconds }) => seconds))]));
}

const workload = (node, args) => JSON.parse(node('scripts/workload.mjs', '--json', ...args));

/** One round of each phase in each build, counted instruction by instruction. */
function countedPhases(node) {
  const [wide, narrow] = ['64', '32'].map((bits) => workload(node, ['--engine', 'processor', '--bits', bits, '--rounds', '1']).phases);
  return phaseNames.map((name) => {
    if (wide[name].checksum !== narrow[name].checksum) throw new Error(`${name} gives ${wide[name].checksum} in 64-bit code, ${narrow[name].checksum} in 32-bit code`);
    return { name, of: phaseWork[name], checksum: wide[name].checksum, instructions: { 64: wide[name].rounds[0].instructions, 32: narrow[name].rounds[0].instructions } };
  });
}

/** The report's part on guest speed, from the seconds that `speedMeasures` took: by engine a list, one entry a round. */
export function speedReport(node, secondsOf) {
  const phases = countedPhases(node);
  const rows = engines.map(({ name, of, bits = 64, version, absence }) => {
    const taken = secondsOf[name];
    const mips = taken === undefined ? null : Object.fromEntries(phases.map((phase) => [phase.name, spread(taken.map((seconds) => phase.instructions[bits] / seconds[phase.name] / 1e6))]));
    return {
      name,
      of,
      version: version?.() ?? null,
      absent: absence?.() ?? null,
      bits,
      mips,
      geomean: mips === null ? null : geomean(medians(mips)),
    };
  });
  const mipsOf = (name) => rows.find((row) => row.name === name).mips;
  const ratio = (over, under) => ratios(mipsOf(over), mipsOf(under));
  return {
    phases,
    engines: rows,
    ratios: { v86: ratio('paravisor', 'v86'), qemu: ratio('paravisor', 'qemu'), qemuIcount: ratio('paravisor', 'qemuIcount') },
    kept: { slices10007: ratio('slices10007', 'processor'), slices1009: ratio('slices1009', 'processor'), busyTicks: ratio('busyTicks', 'paravisor') },
  };
}

const medians = (mips) => phaseNames.map((name) => mips[name].median);

/** One engine's medians over another's, phase by phase; null where one of them was not measured. */
function ratios(over, under) {
  if (over === null || under === null) return null;
  const denominators = medians(under);
  const each = medians(over).map((value, i) => value / denominators[i]);
  return { geomean: geomean(each), min: Math.min(...each) };
}

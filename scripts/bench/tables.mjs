/** The report for a reader. */
import { phaseNames } from './phase-lines.mjs';

const short = (value) => (value >= 1000 ? Math.round(value).toLocaleString('en') : String(Number(value.toPrecision(3))));
const times = (ratio) => (ratio === null || ratio === undefined ? ['', ''] : [ratio.geomean.toFixed(2), ratio.min.toFixed(2)]);

/** Guest speed by engine and phase, then the other measures, then what they were taken on. */
export async function tables({ engines, ratios, kept, measures, runs, node: nodeVersion, cpu }) {
  const { plainTable } = await import('../../packages/tmk-vmm/dist/reporters/table.js');
  const parts = [];
  if (engines.length > 0) {
    const rows = engines.map(({ name, of, version, absent, mips, geomean }) => {
      const cells = mips === null ? [...phaseNames.map(() => '–'), '–'] : [...phaseNames.map((phase) => short(mips[phase].median)), short(geomean)];
      return [name, absent ?? (version === null ? of : `${of} (${version})`), ...cells, ...times(ratios[name]), ...times(kept[name])];
    });
    parts.push(plainTable(['million instructions/s', 'engine', ...phaseNames, 'geomean', 'ours is ×', 'at least', 'keeps ×', 'at least'], rows, 2));
  }
  if (measures.length > 0) {
    const rows = measures.map(({ name, configuration, of, unit, min, median, max }) => [configuration === null ? name : `${name}: ${configuration}`, of, short(min), short(median), short(max), unit]);
    parts.push(plainTable(['measure', 'of', 'min', 'median', 'max', 'unit'], rows, 2));
  }
  const rounds = runs === 1 ? 'One run' : `Medians of ${runs} interleaved runs`;
  return `${parts.join('\n\n')}\n\n${rounds}, every figure from a process of its own; Node ${nodeVersion}, ${cpu ?? 'processor unknown'}\n`;
}

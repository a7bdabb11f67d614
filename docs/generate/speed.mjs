/** The page on speed, from the committed figures: what `npm run -s bench -- --json` printed on one machine. */
import { readFileSync } from 'node:fs';
import { speedChart } from './speed-chart.mjs';
import { cell, code, table } from './markdown.mjs';

const figures = JSON.parse(readFileSync(new URL('../figures/bench.json', import.meta.url), 'utf8'));
const { phases, engines, ratios, kept, measures } = figures;

const number = (value) => (value >= 1000 ? Math.round(value).toLocaleString('en') : String(Number(value.toPrecision(3))));
const measured = engines.filter(({ mips }) => mips !== null);

/** What the figures were taken on. */
export const benchMachine = () => `${figures.cpu ?? 'An unknown processor'}, Node ${figures.node}, ${figures.runs === 1 ? 'one round' : `${figures.runs} interleaved rounds`}.`;

/** Million instructions a second by engine and phase: medians, and how far ahead the model is. */
export function guestSpeed() {
  const rows = measured.map(({ name, of, version, bits, mips, geomean }) => {
    const ratio = ratios[name];
    return [
      cell(version === null ? of : `${of} (${version})`),
      String(bits),
      ...phases.map((phase) => number(mips[phase.name].median)),
      number(geomean),
      ratio ? `${ratio.geomean.toFixed(2)} (at least ${ratio.min.toFixed(2)})` : '',
    ];
  });
  return table(['', 'bits', ...phases.map(({ of }) => cell(of)), 'geometric mean', 'the model is × as fast'], rows);
}

/** Guest speed that is left with exact stops and with a timer. */
export function keptSpeed() {
  const of = (name) => engines.find((engine) => engine.name === name).of;
  const rows = Object.entries(kept).filter(([, ratio]) => ratio !== null).map(([name, ratio]) => [cell(of(name)), `${Math.round(100 * ratio.geomean)} %`, `${Math.round(100 * ratio.min)} %`]);
  return table(['', 'keeps, geometric mean', 'at least'], rows);
}

/** Instructions of a round in each build. */
export const phaseInstructions = () => table(['phase', '', '64-bit instructions a round', '32-bit'], phases.map(({ name, of, instructions }) => [code(name), cell(of), instructions[64].toLocaleString('en'), instructions[32].toLocaleString('en')]));

/** Start-up, memory, exits and timers. */
export function otherFigures() {
  const rows = measures.map(({ of, configuration, unit, min, median, max }) => [cell(of), configuration ?? '', number(min), number(median), number(max), unit]);
  return table(['', 'under', 'least', 'median', 'most', ''], rows);
}

/** The chart's file: guest speed by phase. */
export const chart = () => speedChart(phases, measured);

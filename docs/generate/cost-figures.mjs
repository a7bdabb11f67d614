/** Every figure of the cost model with what it stands for, from the table that the machine charges by. */
import { costFigures } from '../../packages/virt-machine/dist/index.js';
import { cell, code, table } from './markdown.mjs';

/** Costs in TSC ticks, in the table's order. */
export function costTable() {
  const rows = Object.entries(costFigures).map(([name, { ticks, minimum, what, assumption, source }]) => [
    code(name),
    String(ticks),
    minimum > 0 ? String(minimum) : '',
    cell(what),
    cell(assumption ? `**assumption**: ${source}` : source),
  ]);
  return table(['name', 'ticks', 'at least', 'what is charged', 'where the figure comes from'], rows);
}

/** Parts of the example backing's sources, as they stand. */
import { readFileSync } from 'node:fs';

const folder = new URL('../examples/example-backing/src/', import.meta.url);

/** A file of the example backing from the line that holds `from` to the one before that which holds `to`; the whole file without them. */
export function excerpt(file, from = '', to = undefined) {
  const lines = readFileSync(new URL(file, folder), 'utf8').trimEnd().split('\n');
  const first = lines.findIndex((line) => line.includes(from));
  const end = to === undefined ? lines.length : lines.findIndex((line, index) => index > first && line.includes(to));
  if (first < 0 || end < 0) throw new Error(`docs/examples/example-backing/src/${file} has no lines from "${from}" to "${to}"`);
  return `\`\`\`ts\n// src/${file}\n${lines.slice(first, end).join('\n').trimEnd()}\n\`\`\``;
}

/** Pieces of Markdown. */

/** Text as it stands, in a cell of a table: nothing in it is markup. */
export const cell = (text) => text.replaceAll('|', String.raw`\|`).replaceAll('<', '&lt;').replaceAll('\n', ' ');

/** Code in a cell of a table. */
export const code = (text) => `\`${text.replaceAll('|', String.raw`\|`)}\``;

/** A table of rows of cells, or nothing when there are no rows. */
export function table(heads, rows) {
  if (rows.length === 0) return '';
  return [heads, heads.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

/** Blocks with an empty line between them; empty ones are left out. */
export const blocks = (...parts) => parts.filter((part) => part !== '').join('\n\n');

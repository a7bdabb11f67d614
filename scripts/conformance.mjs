/**
 * `npm run -s conformance -- FILE…`: replays recordings of the reference's timer logic through the services that guests run on, and compares every
 * field of every step. A recording's kind is its file's base name up to the first dot. Exit status: 0 all rows agree, 1 some do not, 2 unusable input.
 */
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { prepare } from './workspace.mjs';

/** Package and exported function that replays a row: null when it agrees, else the first difference in one line. */
const replays = {
  vmtime: ['virt-core', 'replayVmTime'],
  synic_timer: ['virt-core', 'replaySynicTimer'],
  lapic_timer: ['virt-core', 'replayLapicTimer'],
  tdx_deadline: ['backing-tdx', 'replayTdxDeadline'],
  snp_scan: ['backing-snp', 'replaySnpScan'],
};
const kinds = Object.keys(replays).join(', ');

/** Wrong input: one line, and nothing was replayed. */
class UnusableInput extends Error {}

function kindOf(file) {
  const kind = basename(file).split('.', 1)[0];
  if (!Object.hasOwn(replays, kind)) throw new UnusableInput(`${file}: no recording is called "${kind}": name the file after its kind (${kinds})`);
  return kind;
}

function rowsOf(file) {
  let text;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    const why = error.code === 'ENOENT' ? 'there is no such file' : error.code === 'EISDIR' ? 'it is a folder' : error.message;
    throw new UnusableInput(`${file}: ${why}: give a recording (${kinds})`);
  }
  const rows = [];
  for (const [index, line] of text.split('\n').entries()) {
    if (line.trim() === '') continue;
    rows.push({ where: `${file}:${index + 1}`, row: parse(line, `${file}:${index + 1}`) });
  }
  if (rows.length === 0) throw new UnusableInput(`${file}: it holds no rows: give a recording with one JSON object a line`);
  return rows;
}

function parse(line, where) {
  let row;
  try {
    row = JSON.parse(line);
  } catch {
    throw new UnusableInput(`${where}: this line is not JSON: a recording has one JSON object a line`);
  }
  if (typeof row !== 'object' || row === null || Array.isArray(row)) throw new UnusableInput(`${where}: this line is not a JSON object: a recording has one a line`);
  return row;
}

/** How the replays say that a row is not of their schema, rather than that it disagrees. */
const MALFORMED = 'malformed row: ';

function replay(replayRow, { where, row }) {
  const difference = replayRow(row);
  if (!difference?.startsWith(MALFORMED)) return difference;
  throw new UnusableInput(`${where}: this row cannot be replayed (${difference.slice(MALFORMED.length)}): is it of the kind its file name says?`);
}

async function main(files) {
  if (files.length === 0) throw new UnusableInput(`no file given: npm run -s conformance -- FILE… (kinds: ${kinds})`);
  const recordings = files.map((file) => ({ kind: kindOf(file), rows: rowsOf(file) }));
  prepare();
  let passed = 0;
  let failed = 0;
  for (const { kind, rows } of recordings) {
    const [room, name] = replays[kind];
    const replayRow = (await import(new URL(`../packages/${room}/dist/index.js`, import.meta.url)))[name];
    for (const entry of rows) {
      const difference = replay(replayRow, entry);
      if (difference === null) {
        passed++;
      } else {
        failed++;
        console.log(`${entry.where}: ${difference}`);
      }
    }
  }
  console.log(`${passed} passed, ${failed} failed`);
  return failed === 0 ? 0 : 1;
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof UnusableInput)) throw error;
  console.error(`conformance: ${error.message}`);
  process.exitCode = 2;
}

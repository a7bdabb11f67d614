import pc from 'picocolors';
import { isLive } from '../terminal.js';
import type { Environment, TextStream } from '../terminal.js';

/** Colours, or none: picocolors' formatters. */
export type Style = Pick<typeof pc, 'bold' | 'dim' | 'green' | 'red'>;

/**
 * Whether text on `stream` is coloured: never under NO_COLOR (no-color.org), always under FORCE_COLOR (`0` and `false` mean never), else on terminals
 * only. Asked of picocolors the answer would be yes in every CI log and pipe that has CI set.
 */
export function wantsColour(stream: TextStream, env: Environment): boolean {
  if (env['NO_COLOR']) return false;
  const forced = env['FORCE_COLOR'];
  if (forced !== undefined && forced !== '') return forced !== '0' && forced !== 'false';
  return isLive(stream, env);
}

export function styleFor(colour: boolean): Style {
  return pc.createColors(colour);
}

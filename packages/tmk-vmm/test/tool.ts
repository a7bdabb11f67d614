/** The tool as specs drive it: in this process, with its output caught. */
import { fileURLToPath } from 'node:url';
import { main } from '../src/main.js';

const top = fileURLToPath(new URL('../../..', import.meta.url));

/** The committed guests. */
export type GuestName = 'apic' | 'basics' | 'deadlines' | 'hostile' | 'long' | 'smp' | 'synic' | 'timers' | 'vsm';

/** A committed guest's path. */
export const guest = (name: GuestName): string => `${top}packages/tmk-guests/elf/${name}.elf`;

/** Runs `tmk-vmm` with these arguments and environment. */
export async function tmkVmm(args: readonly string[], env: Readonly<Record<string, string>> = {}) {
  const said = { stdout: '', stderr: '' };
  const catcher = (stream: keyof typeof said) => ({ write: (text: string | Uint8Array): void => void (said[stream] += typeof text === 'string' ? text : Buffer.from(text).toString()) });
  const status = await main(args, { stdout: catcher('stdout'), stderr: catcher('stderr'), env });
  return { status, ...said };
}

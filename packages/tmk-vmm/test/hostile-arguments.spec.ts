/** Arguments that mean nothing: one line and status 2, or a run; never an exception, never a fault of the model. */
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { Random, amount, patience, report } from './random.js';
import { guest, tmkVmm } from './tool.js';

const words = ['run', 'list', 'compare', 'backings', 'completions', guest('basics'), fileURLToPath(import.meta.url), '/nonexistent', '/', '', '-', '--', 'basics::boot', 'basics::*', '[', '{a,b', '!(', '**', '__proto__', 'constructor', 'é\u0000', '\uD800'];
const options = ['--backing', '--guest-timer', '--set', '--cost', '--reporter', '--vps', '--memory', '--tsc-hz', '--ips', '--seed', '--timeout', '--json', '--help', '--version', '--plugin', '--no-such-option', '-x'];
const values = ['tdx', 'snp', 'all', 'tdx,snp', ',', 'auto', 'hardware', 'vmtime', 'json', 'pretty', 'tap', 'junit', '0', '-1', '1', '1e3', '1e309', 'NaN', '0x10', '4', '3072', '99999999999999999999', 'tdx.timerCapability=failed', 'snp.rearm=off', '__proto__.x=1', 'a=b=c', '=', 'vmEntry=1', 'vmEntry=-1', 'constructor=1', '0.001'];

function randomArguments(random: Random): string[] {
  const args = [random.below(8) === 0 ? random.pick(words) : random.pick(['run', 'list', 'compare', 'backings'])];
  if (random.below(3) > 0) args.push(guest('basics'), 'basics::boot');
  for (let more = random.below(5); more > 0; more--) {
    const option = random.pick(options);
    if (random.below(4) === 0) args.push(random.pick(words));
    else if (random.below(3) === 0) args.push(`${option}=${random.pick(values)}`);
    else args.push(option, ...(random.below(4) > 0 ? [random.pick(values)] : []));
  }
  return args;
}

it('whatever is typed, the tool answers with a result or with one line that says what is wrong', { timeout: patience }, async () => {
  const count = amount(150, 10_000);
  const statuses: Record<number, number> = {};
  for (let seed = 0; seed < count; seed++) {
    const args = randomArguments(new Random(seed));
    const shown = JSON.stringify(args);
    const { status, stderr } = await tmkVmm(args).catch((error: unknown) => {
      throw new Error(`seed ${seed}: ${shown}`, { cause: error });
    });
    statuses[status] = (statuses[status] ?? 0) + 1;
    expect([0, 1, 2], `${shown}: ${stderr}`).toContain(status);
    if (status === 2) expect(stderr.trimEnd().split('\n').length, `${shown}: ${stderr}`).toBe(1);
  }
  report(`${count} command lines, no exception; statuses ${JSON.stringify(statuses)}`);
  for (const status of [0, 2]) expect(statuses[status] ?? 0).toBeGreaterThan(0);
});

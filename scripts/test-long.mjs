/**
 * `npm run test:long`: the fuzzers of `npm test` at full length, with their figures printed: 100,000 mutated ELF files, 1,000,000 random instruction
 * streams through the decoder, 5,700 random programs of 2000 instructions each through the processor, twice, 3,000 random guests under every backing and
 * timer. And every guest on the interpreter and on the translator; guests at full length: four VPs at 1000 Hz for ten virtual seconds, a one-shot two virtual minutes ahead at the usual speed. Takes tens of
 * minutes. Arguments choose among them, as in `npm run test:long -- hostile-files`.
 */
import { prepare, run, tool } from './workspace.mjs';

prepare();
const chosen = process.argv.slice(2);
const fuzzers = ['hostile-files', 'hostile-streams', 'hostile-programs', 'hostile-guests', 'hostile-arguments'];
const guests = ['smp', 'two-minutes', 'executors'];
run(process.execPath, {
  args: [tool('vitest'), 'run', ...(chosen.length > 0 ? chosen : [...fuzzers, ...guests]), '--disable-console-intercept'],
  env: { ...process.env, PARAVISOR_LONG: '1' },
});

/** `npm test`: every package built, every spec type-checked, every test run. Arguments go to vitest, as in `npm test -- packages/virt-core`. */
import { join } from 'node:path';
import { prepare, run, scratch, tool } from './workspace.mjs';

prepare();
run(process.execPath, { args: [tool('typescript', 'tsc'), '-p', 'tsconfig.test.json'] });
const results = join(scratch, 'tests.json');
run(process.execPath, {
  args: [tool('vitest'), 'run', '--reporter=default', '--reporter=json', `--outputFile.json=${results}`, ...process.argv.slice(2)],
});

import { readFileSync, readdirSync } from 'node:fs';
import { join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { manifestViolations, rooms, violations } from './architecture/rules.js';

const top = fileURLToPath(new URL('../../..', import.meta.url));

/** Every shipped source file of a room; specs may use what a test needs. */
function sourcesOf(room: string) {
  return readdirSync(join(top, 'packages', room, 'src'), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts') && !entry.name.endsWith('.spec.ts'))
    .map((entry) => {
      const path = join(entry.parentPath, entry.name);
      return { path: relative(top, path).split(sep).join('/'), text: readFileSync(path, 'utf8') };
    });
}

describe('the import rules', () => {
  it.each(rooms)('%s imports only what it may, and depends on nothing else', (room) => {
    const sources = sourcesOf(room);
    expect(sources.length).toBeGreaterThan(0);
    expect(sources.flatMap(violations)).toEqual([]);
    expect(manifestViolations(room, JSON.parse(readFileSync(join(top, 'packages', room, 'package.json'), 'utf8')))).toEqual([]);
  });

  it.each([
    ['no backing imports another', 'backing-tdx/src/machine/x.ts', "import { snpBacking } from '@paravisor/backing-snp';"],
    ['virt-core imports no backing', 'virt-core/src/vp/x.ts', "import type { TdxVp } from '@paravisor/backing-tdx';"],
    ['virt-core does not import virt-machine, not even its types', 'virt-core/src/vp/x.ts', "import type { Ledger } from '@paravisor/virt-machine';"],
    ['virt-core may emulate one instruction, not run a processor', 'virt-core/src/mmio/x.ts', "import { createProcessor } from '@paravisor/x86-cpu';"],
    ['hcl-protocol imports nothing', 'hcl-protocol/src/x.ts', "export * from '@paravisor/virt-core';"],
    ['x86-cpu knows no hypervisor', 'x86-cpu/src/x.ts', "import { U64 } from '@paravisor/hcl-protocol';"],
    ['virt-machine lies below the paravisor', 'virt-machine/src/x.ts', "import { StartupError } from '@paravisor/virt-core';"],
    ['partition knows no backing', 'partition/src/x.ts', "const { tdxBacking } = await import('@paravisor/backing-tdx');"],
    ['a paravisor half does not import the machine', 'backing-snp/src/paravisor/x.ts', "import type { VpMachine } from '@paravisor/virt-machine';"],
    ['a paravisor half does not import the processor', 'backing-tdx/src/paravisor/x.ts', "type P = import('@paravisor/x86-cpu').Processor;"],
    ['a paravisor half does not import its machine half', 'backing-tdx/src/paravisor/x.ts', "import { TdxModule } from '../machine/module.js';"],
    ['nor what joins the two', 'backing-tdx/src/paravisor/x.ts', "import { tdxBacking } from '../index.js';"],
    ['nor does what both halves share', 'backing-tdx/src/abi/x.ts', "import '../machine/module.js';"],
    ['no file reaches into another package', 'virt-core/src/x.ts', "export { Ledger } from '../../virt-machine/src/ledger.js';"],
    ['inversify stays in di.ts', 'virt-core/src/vp/x.ts', "import { injectable } from 'inversify';"],
    ['and in the composition root', 'tmk-vmm/src/runner.ts', "import { Container } from 'inversify';"],
    ['tokens of the container too', 'backing-tdx/src/index.ts', "import { token } from '@paravisor/virt-core/di';"],
    ['libraries use no Node', 'partition/src/x.ts', "import { readFileSync } from 'node:fs';"],
    ['libraries have no dependencies', 'x86-cpu/src/x.ts', "import iced from 'iced-x86';"],
    ['nor on a test runner', 'partition/src/create-partition.ts', "import { describe } from 'vitest';"],
    ['libraries compute no module names', 'partition/src/x.ts', 'await import(`./${name}.js`);'],
    ['libraries do not read the clock', 'virt-machine/src/x.ts', 'const t = Date.now();'],
    ['in no way', 'virt-machine/src/x.ts', 'const t = new Date();'],
    ['inside a template neither', 'virt-machine/src/x.ts', 'const t = `at ${{ a: 1 }.a} ${performance.now()} ms`;'],
    ['libraries are deterministic', 'virt-machine/src/x.ts', 'const r = Math.random();'],
    ['libraries know no process', 'virt-core/src/x.ts', 'if (process.env.DEBUG) trace();'],
  ])('%s', (_rule, path, text) => {
    expect(violations({ path: `packages/${path}`, text })).toHaveLength(1);
  });

  it.each([
    ['comments and text are no code', 'virt-core/src/x.ts', "// import 'node:fs'\n/* Date.now() */ const s = \"Math.random() from 'node:fs'\"; const r = /'process.env/; const c = ['import', 'node:fs'];"],
    ['a machine half may import the machine and the processor', 'backing-tdx/src/machine/x.ts', "import type { VpMachine } from '@paravisor/virt-machine';\nimport type { Processor } from '@paravisor/x86-cpu';"],
    ['di.ts joins the halves in a container', 'backing-tdx/src/di.ts', "import { ContainerModule } from 'inversify';\nimport { backingModule } from '@paravisor/virt-core/di';\nimport { tdxBackingFactory } from './index.js';"],
    ['the contract suite runs in vitest', 'partition/src/testing/index.ts', "import { describe, it } from 'vitest';"],
    ['the tool may do all of it', 'tmk-vmm/src/x.ts', "import { readFileSync } from 'node:fs';\nconst t = process.hrtime();"],
    ['an import over several lines is one import', 'virt-core/src/x.ts', "import {\n  U64,\n} from '@paravisor/hcl-protocol';"],
  ])('%s', (_rule, path, text) => {
    expect(violations({ path: `packages/${path}`, text })).toEqual([]);
  });

  it('a manifest may not depend on what the sources may not import', () => {
    expect(manifestViolations('virt-core', { dependencies: { '@paravisor/virt-machine': 'workspace:^', inversify: '^8.0.0' } })).toHaveLength(1);
  });
});

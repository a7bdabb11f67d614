import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import faultSchema from '../schema/fault-1.json' with { type: 'json' };
import { schemaErrors } from './schema-check.js';
import { guest, tmkVmm } from './tool.js';

const folder = mkdtempSync(join(tmpdir(), 'tmk-vmm-plugin-'));
const snp = import.meta.resolve('@paravisor/backing-snp');
/** A backing under another name, made of the SNP one. */
const mine = `import { snpBackingFactory } from '${snp}';
export const mine = { ...snpBackingFactory, name: 'mine', create: (options) => ({ ...snpBackingFactory.create(options), name: 'mine' }) };
export const version = 3;
`;
const ownFolder = process.cwd();

function write(name: string, contents: string): string {
  const path = join(folder, name);
  writeFileSync(path, contents);
  return path;
}

beforeAll(() => {
  for (const name of ['package', 'node_modules/a-backing']) {
    mkdirSync(join(folder, name, 'lib'), { recursive: true });
    write(join(name, 'package.json'), JSON.stringify({ name: 'a-backing', type: 'module', exports: { '.': { types: './lib/x.d.ts', import: './lib/x.js' } } }));
    write(join(name, 'lib/x.js'), mine);
  }
});
afterAll(() => rmSync(folder, { recursive: true }));

describe('--plugin', () => {
  it('takes a file, a package folder and an installed package', async () => {
    const named = { file: write('mine.mjs', mine), folder: join(folder, 'package') };
    for (const plugin of [named.file, named.folder]) {
      const { status, stdout } = await tmkVmm(['run', guest('basics'), 'basics::boot', '--backing', 'mine', '--plugin', plugin]);
      expect({ status, title: stdout.split('\n')[0] }).toMatchObject({ status: 0, title: expect.stringContaining('mine, VmTime') });
    }
    process.chdir(folder);
    try {
      expect((await tmkVmm(['backings', '--plugin', 'a-backing'])).stdout).toMatch(/^mine {2}/m);
    } finally {
      process.chdir(ownFolder);
    }
  });

  it.each([
    ['exports nothing of the kind', 'export const a = 1;', 'exports no backing factory'],
    ['exports a factory without options', `export const a = { name: 'a', isolation: 'none', usesHardwareTimer: false, create() {} };`, 'export "a" has no list of options'],
    ['exports a factory with variants of no option', `export const a = { name: 'a', isolation: 'none', usesHardwareTimer: false, options: [], variants: [{ x: 'y' }], create() {} };`, 'export "a" has variants'],
    ['does not load', 'throw new Error("on purpose\\nreally")', 'on purpose'],
    ['takes a name that is taken', `import { snpBackingFactory } from '${snp}'; export const again = { ...snpBackingFactory };`, '"snp" is taken'],
  ])('refuses a module that %s', async (what, source, expected) => {
    const { status, stderr } = await tmkVmm(['backings', '--plugin', write(`${what.replaceAll(' ', '-')}.mjs`, source)]);
    expect(status).toBe(2);
    expect(stderr).toMatch(/^tmk-vmm: [^\n]+\n$/);
    expect(stderr).toContain(expected);
  });
});

describe('docs/examples/example-backing', () => {
  const example = fileURLToPath(new URL('../../../docs/examples/example-backing', import.meta.url));

  it.each([['basics'], ['timers'], ['synic'], ['apic'], ['deadlines'], ['vsm'], ['smp', '--vps', '4']] as const)('brings a backing that runs every guest: %s', async (name, ...options) => {
    const { status, stderr } = await tmkVmm(['run', guest(name), '--plugin', example, '--backing', 'example', ...options]);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  });

  it('is listed, and stands in a comparison', async () => {
    expect((await tmkVmm(['backings', '--plugin', example])).stdout).toMatch(/^example {2}isolation none, VmTime guest timer$/m);
    const { stdout } = await tmkVmm(['compare', guest('timers'), 'timers::stimer_oneshot_direct', '--plugin', example]);
    expect(stdout).toMatch(/example, VmTime +passed/);
  });
});

describe('a fault of the model itself', () => {
  it('ends with status 3, one line, and a report with version, seed and the last events', async () => {
    const broken = write(
      'broken.mjs',
      `import { snpBackingFactory } from '${snp}';
function create(options) {
  const backing = snpBackingFactory.create(options);
  return { ...backing, name: 'broken', createShared(parameters) {
    const shared = backing.createShared(parameters);
    let rounds = 0;
    return new Proxy(shared, { get(target, key) {
      const value = Reflect.get(target, key, target);
      if (key !== 'createVp') return typeof value === 'function' ? value.bind(target) : value;
      return (context) => {
        const vp = target.createVp(context);
        const afterRun = vp.afterRun.bind(vp);
        vp.afterRun = (...all) => { if (++rounds === 20) throw new TypeError('twentieth exit'); afterRun(...all); };
        return vp;
      };
    } });
  } };
}
export const broken = { ...snpBackingFactory, name: 'broken', create };
`,
    );
    process.chdir(folder);
    try {
      const { status, stdout, stderr } = await tmkVmm(['run', guest('timers'), 'timers::stimer_periodic_idle', '--backing', 'broken', '--plugin', broken, '--seed', '5']);
      expect({ status, stdout }).toEqual({ status: 3, stdout: '' });
      expect(stderr).toMatch(/^tmk-vmm: the model itself is at fault \(twentieth exit\)[^\n]+tmk-vmm-fault\.json\n$/);
    } finally {
      process.chdir(ownFolder);
    }
    const report = JSON.parse(readFileSync(join(folder, 'tmk-vmm-fault.json'), 'utf8'));
    expect(report).toMatchObject({ schema: 'tmk-vmm/fault@1', message: 'twentieth exit', test: 'timers::stimer_periodic_idle', backing: 'broken', machine: { seed: 5 } });
    expect(report.version).toMatch(/^\d+\.\d+\.\d+/);
    expect(schemaErrors(faultSchema, report)).toEqual([]);
    expect(report.lastEvents.at(-1)).toMatchObject({ event: 'exit', destination: 'user' });
  });
});

import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { guest, tmkVmm } from './tool.js';

const { bundleIsFresh } = (await import(new URL('../bin/bundle.js', import.meta.url).href)) as { readonly bundleIsFresh: () => boolean };
const tool = fileURLToPath(new URL('../bin/tmk-vmm.js', import.meta.url));

const withoutTimes = (text: string): string => text.replaceAll(/"wallMs": [\d.]+/g, '');

/** Its private fields are plain properties, and V8 was told to inline more: none of that may show. */
describe.skipIf(!bundleIsFresh())('the bundle that a clone starts from (skipped where packages were built after it)', () => {
  it.each(['timers', 'smp', 'vsm'] as const)('prints what its modules print: %s, under every backing and timer', async (name) => {
    const args = ['run', guest(name), '--backing', 'all', '--reporter', 'json'];
    const bundled = spawnSync(process.execPath, [tool, ...args], { encoding: 'utf8' });
    const modules = await tmkVmm(args);
    expect({ status: bundled.status, stderr: bundled.stderr }).toEqual({ status: modules.status, stderr: modules.stderr });
    expect(withoutTimes(bundled.stdout)).toBe(withoutTimes(modules.stdout));
  });
});

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import schema from '../schema/boot-1.json' with { type: 'json' };
import type { BootReport } from '../src/boot-report.js';
import { schemaErrors } from './schema-check.js';
import { guest, tmkVmm } from './tool.js';

const kernel = fileURLToPath(new URL('../../tmk-guests/boot/multiboot.elf', import.meta.url));

let folder: string;
beforeAll(() => void (folder = mkdtempSync(join(tmpdir(), 'tmk-vmm-boot-'))));
afterAll(() => rmSync(folder, { recursive: true }));

const json = async (...args: string[]) => JSON.parse((await tmkVmm(['boot', kernel, '--reporter', 'json', ...args])).stdout) as BootReport;

describe('tmk-vmm boot', () => {
  it.each([['tdx', 'hardware'], ['tdx', 'vmtime'], ['snp', 'vmtime']])('a Multiboot kernel passes all it tests under %s with the %s timer', async (backing, timer) => {
    const { status, stdout, stderr } = await tmkVmm(['boot', kernel, '--vps', '2', '--device', 'isa-debug-exit', '--device', 'pc-testdev', '--backing', backing, '--guest-timer', timer]);
    const said = ['faults: taken and recovered from', 'user: 5 calls, 5 system calls', 'sse: sums and squares', 'code: runs as it was last written', 'devices: a line by REP OUTSB', 'timers: 43 interrupts', 'lines: edges and levels', 'processors: 10 interrupts each way'];
    expect(stdout).toBe(['command line: ', ...said, 'all passed', ''].join('\n'));
    expect(status).toBe(1);
    expect(stderr).toMatch(/: exited with status 1; \d+ instructions, [\d.]+ virtual s, exits \d+ paravisor, \d+ user, \d+ hypervisor\n$/);
  });

  it('gives the kernel its command line and modules (Multiboot Specification 3.3)', async () => {
    const module = join(folder, 'env.txt');
    writeFileSync(module, 'NR_CPUS=2\n');
    const { stdout } = await tmkVmm(['boot', kernel, '--cmdline', 'one two', '--initrd', `${module},${module}`]);
    expect(stdout).toContain(`command line: one two\nmodule: ${module}\nNR_CPUS=2\nmodule: ${module}\nNR_CPUS=2\n`);
  });

  it('as JSON is one object of its schema, the same twice but for the wall clock', async () => {
    const report = await json('--backing', 'all', '--vps', '2');
    expect(schemaErrors(schema, report)).toEqual([]);
    expect(report.runs.map(({ backing, outcome, exitStatus }) => [backing, outcome, exitStatus])).toEqual([['tdx', 'exited', 1], ['snp', 'exited', 1]]);
    expect(report.runs[0]!.console).toContain('all passed\n');
    const again = await json('--backing', 'all', '--vps', '2');
    const withoutWall = ({ runs, ...head }: BootReport) => ({ ...head, runs: runs.map((run) => ({ ...run, wallMs: 0 })) });
    expect(withoutWall(again)).toEqual(withoutWall(report));
  });

  it('has the remedies on that a kernel cannot do without, unless they are set otherwise', async () => {
    const options = async (...args: string[]) => (await json('--backing', 'tdx', '--timeout', '0.00001', ...args)).runs[0]!.options;
    expect(await options()).toMatchObject({ remedyIllegalSelfIpi: 'on', remedyRepeatedEvent: 'on', remedyVtlSwitch: 'off' });
    expect(await options('--set', 'tdx.remedyRepeatedEvent=off')).toMatchObject({ remedyIllegalSelfIpi: 'on', remedyRepeatedEvent: 'off' });
  });

  it('ends with status 4 when the virtual time is up', async () => {
    const { status, stderr } = await tmkVmm(['boot', kernel, '--timeout', '0.00001']);
    expect(status).toBe(4);
    expect(stderr).toContain('timeout: the guest was still running after 0.00001 virtual seconds');
  });

  it('ends with status 6 when the kernel faults', async () => {
    const broken = Uint8Array.from(readFileSync(kernel));
    // UD2 at the entry point, behind the header: with no IDT that is a triple fault.
    broken.set([0x0f, 0x0b], 0x1000 + 12);
    const path = join(folder, 'broken.elf');
    writeFileSync(path, broken);
    const { status, stdout, stderr } = await tmkVmm(['boot', path]);
    expect([status, stdout]).toEqual([6, '']);
    expect(stderr).toContain('faulted: VP 0 VTL0: ');
  });

  it.each([
    [[guest('basics')], 'basics.elf: '],
    [['missing.elf'], 'there is no such file'],
    [[kernel, '--memory', '1'], 'give it'],
    [[kernel, '--reporter', 'tap'], '--reporter "tap" is not one of boot'],
    [[kernel, '--device', 'isa-debug-exi'], 'did you mean "isa-debug-exit"?'],
    [[kernel, '--initrd', 'missing.txt'], 'missing.txt: there is no such file'],
    [[kernel, '--guest-timer', 'hardware', '--backing', 'snp'], 'no hardware guest timer'],
  ])('%j is refused in one line with status 2', async (args, expected) => {
    const { status, stdout, stderr } = await tmkVmm(['boot', ...args]);
    expect([status, stdout]).toEqual([2, '']);
    expect(stderr).toContain(expected);
    expect(stderr.trimEnd().split('\n')).toHaveLength(1);
  });
});

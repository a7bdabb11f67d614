import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { guest, tmkVmm } from './tool.js';

const folder = mkdtempSync(join(tmpdir(), 'tmk-vmm-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** A file in the scratch folder. */
function file(name: string, contents: string | Uint8Array): string {
  const path = join(folder, name);
  writeFileSync(path, contents);
  return path;
}

const basics = guest('basics');
const whole = readFileSync(basics);
const changed = (at: number, ...bytes: number[]): Uint8Array => {
  const copy = Uint8Array.from(whole);
  copy.set(bytes, at);
  return copy;
};

describe('what the user got wrong ends with status 2 and one line on stderr', () => {
  it.each<[string, string[], string]>([
    ['no command', [], 'no command given'],
    ['unknown command', ['execute', basics], 'unknown command "execute"'],
    ['missing guest', ['run'], 'no <guest> given'],
    ['missing file', ['run', join(folder, 'absent.elf')], 'there is no such file'],
    ['directory', ['list', folder], 'it is a folder'],
    ['empty file', ['run', file('empty.elf', '')], 'it is empty'],
    ['no ELF file', ['run', file('text.elf', 'hello')], 'ELF magic number'],
    ['truncated in the header', ['run', file('header.elf', whole.subarray(0, 40))], 'file ends at 0x28'],
    ['truncated at the end', ['run', file('end.elf', whole.subarray(0, whole.length - 1))], 'cut off'],
    ['ELF32', ['run', file('elf32.elf', changed(4, 1))], '32-bit'],
    ['big-endian', ['run', file('big.elf', changed(5, 2))], 'big-endian'],
    ['other machine', ['run', file('arm.elf', changed(18, 183, 0))], 'machine 183'],
    ['too little memory', ['run', basics, '--memory', '2'], 'give it'],
    ['unknown test', ['run', basics, 'basics::bot'], 'did you mean "basics::boot"?'],
    ['glob without a match', ['compare', basics, 'timers::*'], 'no test matches'],
    ['unknown backing', ['run', basics, '--backing', 'tdxx'], 'did you mean "tdx"?'],
    ['unknown option', ['run', basics, '--seeed', '1'], 'did you mean "--seed"?'],
    ['unknown backing option', ['run', basics, '--set', 'tdx.timerCapabilty=absent'], 'did you mean "tdx.timerCapability"?'],
    ['unknown value of a backing option', ['run', basics, '--set', 'tdx.timerCapability=maybe'], 'choose from supported'],
    ['setting of an unknown backing', ['run', basics, '--set', 'sev.x=1'], 'unknown backing "sev"'],
    ['mistyped host', ['run', basics, '--set', 'hots.timer=drop'], 'did you mean "host"?'],
    ['unknown option of the host', ['run', basics, '--set', 'host.tmer=drop'], 'did you mean "host.timer"?'],
    ['unknown value of a host option', ['run', basics, '--set', 'host.timer=lose'], 'choose from honest, drop, delay, repeat, flood'],
    ['unknown value of a partition option', ['compare', basics, '--set', 'partition.guestVsm=maybe'], 'choose from on, off'],
    ['setting without a value', ['run', basics, '--set', 'host.timer'], 'is not of the form <backing>.<option>=<value>'],
    ['the host as a backing', ['run', basics, '--backing', 'host'], 'unknown backing "host"'],
    ['bad number', ['run', basics, '--ips', 'fast'], '--ips "fast" is not a whole number'],
    ['number out of range', ['run', basics, '--ips', '0'], '--ips is 0'],
    ['more instructions than ticks', ['run', basics, '--ips', '3000000000'], 'ips is 3000000000'],
    ['too many VPs', ['run', basics, '--vps', '65'], '--vps is 65; it must be a whole number from 1 to 64'],
    ['no VP', ['run', basics, '--vps', '0'], '--vps is 0; it must be a whole number from 1 to 64'],
    ['half a VP', ['run', basics, '--vps', '1.5'], '--vps "1.5" is not a whole number'],
    ['unknown cost', ['run', basics, '--cost', 'coffee=1'], 'coffee'],
    ['impossible cost', ['run', basics, '--cost', 'vmExit=0'], 'vmExit'],
    ['unknown reporter', ['run', basics, '--reporter', 'junitt'], 'did you mean "junit"?'],
    ['help on an unknown command', ['help', 'runn'], 'did you mean "run"?'],
    ['completion for no shell', ['completion'], 'no <shell> given'],
    ['completion for an unknown shell', ['completion', 'bsh'], 'did you mean "bash"?'],
    ['hardware timer on a backing without one', ['run', basics, '--backing', 'snp', '--guest-timer', 'hardware'], 'no hardware'],
    ['comparison of no timer', ['compare', basics, '--backing', 'snp', '--guest-timer', 'hardware'], 'none of the backings'],
    ['unwritable output', ['run', basics, '--output', folder], 'it is a folder'],
    ['output into a folder that is not there', ['run', basics, '--output', join(folder, 'no', 'report.json')], 'it cannot be written'],
    ['unwritable trace', ['run', basics, '--trace', folder], 'it is a folder'],
    ['missing plugin', ['backings', '--plugin', 'no-such-package'], 'there is no such file, folder or installed package'],
  ])('%s', async (_what, args, expected) => {
    const { status, stdout, stderr } = await tmkVmm(args);
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
    expect(stderr).toMatch(/^tmk-vmm: [^\n]+\n$/);
    expect(stderr).toContain(expected);
  });

  it('in a process of its own too: nothing on stdout, no stack trace', () => {
    const bin = fileURLToPath(new URL('../bin/tmk-vmm.js', import.meta.url));
    const { status, stdout, stderr } = spawnSync(process.execPath, [bin, 'run', join(folder, 'absent.elf')], { encoding: 'utf8' });
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
    expect(stderr).toMatch(/^tmk-vmm: [^\n]+\n$/);
  });
});

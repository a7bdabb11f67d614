/** Completion as the shells do it: bash is everywhere; zsh and fish are asked where they are installed. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { defaultCosts } from '@paravisor/virt-machine';
import { commandSpecs } from '../src/cli/commands.js';
import { guest, tmkVmm } from './tool.js';

const folder = mkdtempSync(join(tmpdir(), 'tmk-vmm-completion-'));
afterAll(() => rmSync(folder, { recursive: true }));

const bin = fileURLToPath(new URL('../bin/tmk-vmm.js', import.meta.url));
const basics = guest('basics');

async function script(name: string): Promise<string> {
  const { status, stdout } = await tmkVmm(['completion', name]);
  expect(status).toBe(0);
  const path = join(folder, name);
  writeFileSync(path, stdout);
  return path;
}

const installed = (name: string): boolean => spawnSync(name, ['--version']).status === 0;

function shell(name: string, args: readonly string[], program: string): string[] {
  const { status, stdout, stderr } = spawnSync(name, [...args, '-c', program], { encoding: 'utf8' });
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  return stdout.split('\n').filter((line) => line !== '');
}

const commandNames = commandSpecs.map(({ name }) => name);
const lines: readonly (readonly [line: string, offered: readonly string[]])[] = [
  ['tmk-vmm ', commandNames],
  ['tmk-vmm co', ['compare', 'completion']],
  ['tmk-vmm run --re', ['--reporter']],
  ['tmk-vmm list --', ['--help', '--json', '--version']],
  ['tmk-vmm run --reporter ', ['json', 'junit', 'pretty', 'tap']],
  ['tmk-vmm run g.elf --guest-timer v', ['vmtime']],
  [`tmk-vmm run ${basics.slice(0, -4)}`, [basics]],
  ['tmk-vmm completion ', ['bash', 'fish', 'zsh']],
];
/** Bash is given only what follows the last `:` or `=` of the word. */
const inBash: typeof lines = [
  ...lines,
  [`tmk-vmm run ${basics} `, ['basics::boot', 'basics::enable_x2apic', 'basics::expected_failure', 'basics::msr_gp', 'basics::self_ipi_x2apic', 'basics::self_ipi_xapic', 'basics::ud2']],
  [`tmk-vmm compare --json ${basics} basics::b`, ['boot']],
  ['tmk-vmm run --backing tdx,s', ['tdx,snp']],
  ['tmk-vmm run --reporter=j', ['json', 'junit']],
  ['tmk-vmm run --set snp.rearm=', ['off', 'on']],
  ['tmk-vmm run --cost vmE', ['vmEntry=', 'vmExit=']],
  ['tmk-vmm run --seed ', []],
];

describe('tmk-vmm completion', () => {
  it.each(inBash)('bash completes "%s"', async (line, offered) => {
    const program = `tmk-vmm() { '${process.execPath}' '${bin}' "$@"; }
source '${await script('bash')}'
COMP_LINE='${line}'; COMP_POINT=\${#COMP_LINE}; COMP_WORDBREAKS=$' \\t\\n"\\'><=;|&(:'
_tmk_vmm; printf '%s\\n' "\${COMPREPLY[@]}"`;
    expect(shell('bash', ['--norc', '--noprofile'], program).toSorted()).toEqual([...offered].toSorted());
  });

  it.skipIf(!installed('fish')).each([...lines, [`tmk-vmm run ${basics} basics::b`, ['basics::boot']] as const])('fish completes "%s" (skipped where fish is not installed)', async (line, offered) => {
    const program = `function tmk-vmm; '${process.execPath}' '${bin}' $argv; end; source '${await script('fish')}'; complete -C '${line}'`;
    expect(shell('fish', ['--no-config'], program).map((answer) => answer.split('\t')[0]).toSorted()).toEqual([...offered].toSorted());
  });

  it.skipIf(!installed('zsh'))('zsh takes its script (skipped where zsh is not installed)', async () => {
    expect(shell('zsh', ['-f'], `autoload -U compinit; compinit -u -D; source '${await script('zsh')}'; print $_comps[tmk-vmm]`)).toEqual(['_tmk_vmm']);
  });

  it.each(['bash', 'zsh', 'fish'])('the %s script knows every command, option, backing, setting and cost', async (name) => {
    const { stdout } = await tmkVmm(['completion', name]);
    const options = commandSpecs.flatMap((command) => command.options.map((option) => option.name));
    for (const word of [...commandNames, ...options, 'tdx snp all', 'tdx.timerCapability=absent', 'snp.rearm=off', ...Object.keys(defaultCosts.ticks).map((cost) => `${cost}=`)]) expect(stdout).toContain(word);
  });
});

import { describe, expect, it } from 'vitest';
import { UsageError } from '../errors.js';
import { parseArgv } from './argv.js';

/** A command's positionals and options as plain data. */
function parse(...argv: string[]) {
  const invocation = parseArgv(argv);
  if (invocation.kind !== 'command') throw new Error(`${invocation.kind} instead of a command`);
  return { command: invocation.command, positionals: invocation.positionals, options: Object.fromEntries(invocation.options) };
}

function refusal(...argv: string[]): string {
  try {
    parse(...argv);
  } catch (error) {
    expect(error).toBeInstanceOf(UsageError);
    expect((error as UsageError).message).not.toContain('\n');
    return (error as UsageError).message;
  }
  throw new Error('the arguments were accepted');
}

describe('parseArgv', () => {
  it('tells command, guest, tests and options apart, wherever the options stand', () => {
    const expected = { command: 'run', positionals: ['a.elf', 't::one'], options: { backing: ['tdx,snp'], seed: ['7'] } };
    expect(parse('run', 'a.elf', 't::one', '--backing', 'tdx,snp', '--seed=7')).toEqual(expected);
    expect(parse('--seed=7', '--backing=tdx,snp', 'run', 'a.elf', 't::one')).toEqual(expected);
  });

  it('keeps every value the text it is: no zeros, digits or signs are lost', () => {
    const values = ['007', '1e3', '0x10', '18446744073709551615', '-5', ' 3', 'true', '1=2'];
    for (const value of values) expect(parse('run', 'g', '--output', value).options).toEqual({ output: [value] });
    for (const value of values) expect(parse('run', 'g', `--output=${value}`).options).toEqual({ output: [value] });
    expect(parse('run', '007', '1e3').positionals).toEqual(['007', '1e3']);
  });

  it('collects repeated options in order, and refuses to repeat those that mean one thing', () => {
    expect(parse('run', 'g', '--backing', 'tdx', '--backing', 'snp').options).toEqual({ backing: ['tdx', 'snp'] });
    expect(refusal('run', 'g', '--seed', '1', '--seed', '2')).toContain('--seed is given 2 times');
  });

  it('takes what follows -- for arguments', () => {
    expect(parse('run', '--', '-strange.elf', '--test').positionals).toEqual(['-strange.elf', '--test']);
  });

  it.each([
    [[], 'no command given'],
    [['rnu', 'g'], 'did you mean "run"?'],
    [['launch', 'g'], 'unknown command "launch"'],
    [['run'], 'no <guest> given'],
    [['list', 'g', 'h'], '"h" is one argument too many'],
    [['backings', 'g'], '"g" is one argument too many'],
    [['run', 'g', '--reportr', 'json'], 'unknown option --reportr: did you mean "--reporter"?'],
    [['run', 'g', '--json'], 'unknown option --json'],
    [['list', 'g', '--seed', '1'], 'unknown option --seed'],
    [['run', 'g', '-x'], 'unknown option -x'],
    [['run', 'g', '--output'], '--output has no value'],
    [['run', 'g', '--output='], '--output has no value'],
    [['run', 'g', '--output', '--seed', '1'], '--output has no value'],
    [['run', 'g', '--no-output'], '--output has no value'],
    [['run', 'g', '--set.tdx', 'x'], '--set has no value'],
    [['list', 'g', '--no-json'], '--json takes no value'],
  ])('refuses %j in one line', (argv, expected) => {
    expect(refusal(...argv)).toContain(expected);
  });

  it('has a help text for everything and for each command', () => {
    expect(parseArgv(['--help'])).toMatchObject({ kind: 'help', text: expect.stringContaining('compare <guest> [...tests]') });
    expect(parseArgv(['run', '--help'])).toMatchObject({ kind: 'help', text: expect.stringContaining('--guest-timer <timer>') });
    expect(parseArgv(['--version'])).toEqual({ kind: 'version' });
  });
});

import { parseArgv } from './cli/argv.js';
import type { Invocation } from './cli/argv.js';
import type { CommandResult } from './commands/run.js';
import { ExitStatus, UsageError } from './errors.js';
import { ModelFault, writeFaultReport } from './model-fault.js';
import { ownVersion } from './version.js';

/** What the command says, and what it hears besides its arguments. */
export interface Terminal {
  readonly stdout: { write(text: string): void };
  readonly stderr: { write(text: string): void };
  readonly env: Readonly<Record<string, string | undefined>>;
}

/**
 * Runs the command line `argv` (without node and program name) and returns the process's exit status: 0 as expected, 1 a test did otherwise, 2 usage
 * or unreadable input (one line on stderr), 3 a fault in the model itself (one line on stderr, a report in a file).
 */
export async function main(argv: readonly string[], terminal: Terminal = ownTerminal()): Promise<ExitStatus> {
  try {
    return await follow(parseArgv(argv), terminal);
  } catch (error) {
    if (error instanceof UsageError) {
      terminal.stderr.write(`tmk-vmm: ${error.message}\n`);
      return ExitStatus.Usage;
    }
    if (error instanceof ModelFault) {
      terminal.stderr.write(`tmk-vmm: the model itself is at fault (${error.message}): please report it with ${writeFaultReport(error)}\n`);
      return ExitStatus.ModelFault;
    }
    throw error;
  }
}

function ownTerminal(): Terminal {
  // Whoever reads our output may stop early (`| head`); that is no fault.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
  });
  return process;
}

async function follow(invocation: Invocation, { stdout, env }: Terminal): Promise<ExitStatus> {
  switch (invocation.kind) {
    case 'version':
      stdout.write(`${ownVersion()}\n`);
      return ExitStatus.Ok;
    case 'help':
      stdout.write(invocation.text);
      return ExitStatus.Ok;
    case 'command': {
      const { text, ok } = await perform(invocation, env);
      stdout.write(text);
      return ok ? ExitStatus.Ok : ExitStatus.TestsFailed;
    }
  }
}

/** Each command's code is loaded when it is asked for: `--help` and `list` need no processor. */
async function perform({ command, positionals, options }: Extract<Invocation, { kind: 'command' }>, environment: Terminal['env']): Promise<CommandResult> {
  switch (command) {
    case 'list':
      return { text: (await import('./commands/list.js')).list(positionals[0]!, options), ok: true };
    case 'backings':
      return { text: await (await import('./commands/backings.js')).backings(options), ok: true };
    case 'run':
    case 'compare':
      return (await import('./commands/run.js'))[command](positionals, options, { version: ownVersion(), environment });
  }
}

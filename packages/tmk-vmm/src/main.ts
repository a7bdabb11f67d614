import { parseArgv } from './cli/argv.js';
import type { Invocation } from './cli/argv.js';
import type { CommandResult } from './commands/run.js';
import { BootStatus, ExitStatus, UsageError } from './errors.js';
import { ModelFault, writeFaultReport } from './model-fault.js';
import { styleFor, wantsColour } from './reporters/style.js';
import type { Terminal } from './terminal.js';
import { ownVersion } from './version.js';

/**
 * Runs the command line `argv` (without node and program name) and returns the process's exit status: 0 as expected, 1 a test did otherwise, 2 usage
 * or unreadable input (one line on stderr), 3 a fault in the model itself (one line on stderr, a report in a file). `boot` has statuses of its own.
 */
export async function main(argv: readonly string[], terminal: Terminal = ownTerminal()): Promise<number> {
  try {
    return await follow(parseArgv(argv), terminal);
  } catch (error) {
    if (error instanceof UsageError) {
      terminal.stderr.write(`tmk-vmm: ${error.message}\n`);
      return ExitStatus.Usage;
    }
    if (error instanceof ModelFault) {
      terminal.stderr.write(`tmk-vmm: the model itself is at fault (${error.message}): please report it with ${writeFaultReport(error)}\n`);
      return argv[0] === 'boot' ? BootStatus.ModelFault : ExitStatus.ModelFault;
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

async function follow(invocation: Invocation, terminal: Terminal): Promise<number> {
  const { stdout } = terminal;
  switch (invocation.kind) {
    case 'version':
      stdout.write(`${ownVersion()}\n`);
      return ExitStatus.Ok;
    case 'help':
      stdout.write(invocation.text);
      return ExitStatus.Ok;
    case 'command': {
      const { text, ok, status } = await perform(invocation, terminal);
      stdout.write(text);
      return status ?? (ok ? ExitStatus.Ok : ExitStatus.TestsFailed);
    }
  }
}

/** Each command's code is loaded when it is asked for: `--help` and `list` need no processor. */
async function perform({ command, positionals, options }: Extract<Invocation, { kind: 'command' }>, terminal: Terminal): Promise<CommandResult> {
  switch (command) {
    case 'list':
      return { text: (await import('./commands/list.js')).list(positionals[0]!, options), ok: true };
    case 'backings':
      return { text: await (await import('./commands/backings.js')).backings(options, styleFor(wantsColour(terminal.stdout, terminal.env))), ok: true };
    case 'run':
    case 'compare':
      return (await import('./commands/run.js'))[command](positionals, options, { version: ownVersion(), terminal });
    case 'boot':
      return (await import('./commands/boot.js')).boot(positionals[0]!, options, { version: ownVersion(), terminal });
    case 'completion':
      return { text: await (await import('./commands/completion.js')).completion(positionals[0]!), ok: true };
  }
}

import { parseArgv } from './cli/argv.js';
import type { Invocation } from './cli/argv.js';
import { ExitStatus, UsageError } from './errors.js';
import { ModelFault, writeFaultReport } from './model-fault.js';
import { ownVersion } from './version.js';

/**
 * Runs the command line `argv` (without node and program name) and returns the process's exit status: 0 as expected, 1 a test did otherwise, 2 usage
 * or unreadable input (one line on stderr), 3 a fault in the model itself (one line on stderr, a report in a file).
 */
export async function main(argv: readonly string[]): Promise<ExitStatus> {
  // Whoever reads our output may stop early (`| head`); that is no fault.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
  });
  const version = ownVersion();
  try {
    return await follow(parseArgv(argv, version), version);
  } catch (error) {
    if (error instanceof UsageError) {
      process.stderr.write(`tmk-vmm: ${error.message}\n`);
      return ExitStatus.Usage;
    }
    if (error instanceof ModelFault) {
      process.stderr.write(`tmk-vmm: the model itself is at fault (${error.message}): please report it with ${writeFaultReport(error)}\n`);
      return ExitStatus.ModelFault;
    }
    throw error;
  }
}

async function follow(invocation: Invocation, version: string): Promise<ExitStatus> {
  if (invocation.kind === 'version') return print(`${version}\n`);
  if (invocation.kind === 'help') return print(invocation.text);
  const { command, positionals, options } = invocation;
  switch (command) {
    case 'list':
      return print((await import('./commands/list.js')).list(positionals[0]!, options));
    case 'backings':
      return print(await (await import('./commands/backings.js')).backings(options));
    case 'run':
    case 'compare': {
      const commands = await import('./commands/run.js');
      const { text, ok } = await commands[command](positionals, options, { version, environment: process.env });
      print(text);
      return ok ? ExitStatus.Ok : ExitStatus.TestsFailed;
    }
  }
}

function print(text: string): ExitStatus {
  process.stdout.write(text);
  return ExitStatus.Ok;
}

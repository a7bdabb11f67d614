import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const top = fileURLToPath(new URL('../../..', import.meta.url));

interface Phase {
  readonly checksum: string;
  readonly rounds: readonly { readonly seconds: number; readonly instructions: number | null }[];
}

/** One round of the workload's sieve on one of the engines of `npm run bench`. */
function sieve(...args: string[]): Phase {
  const { status, stdout } = spawnSync(process.execPath, ['scripts/workload.mjs', '--json', '--rounds', '1', ...args, 'sieve'], { cwd: top, encoding: 'utf8' });
  expect(status).toBe(0);
  const { phases } = JSON.parse(stdout) as { phases: Record<string, Phase> };
  expect(Object.keys(phases)).toEqual(['sieve']);
  return phases['sieve']!;
}

/** Below 2,000,000 there are 148,933 primes; a round counts them eight times. */
const CHECKSUM = (8 * 148_933).toString(16).padStart(8, '0');

const hasQemu = spawnSync('qemu-system-x86_64', ['--version']).status === 0;

describe('the workload guest', () => {
  it('counts the primes, and takes as many instructions in a partition as on the processor alone, wherever that is stopped', () => {
    const inPartition = sieve('--engine', 'partition', '--backing', 'snp');
    const sliced = sieve('--engine', 'processor', '--slice', '10007');
    expect([inPartition.checksum, sliced.checksum]).toEqual([CHECKSUM, CHECKSUM]);
    expect(inPartition.rounds).toHaveLength(1);
    expect(inPartition.rounds[0]!.instructions).toBeGreaterThan(100_000_000);
    expect(sliced.rounds[0]!.instructions).toBe(inPartition.rounds[0]!.instructions);
  });

  it('is interrupted by the 1000 Hz timer that it is asked to start', () => {
    const { checksum, rounds } = sieve('--engine', 'partition', '--ticks', '--ips', '2000000000');
    expect(checksum).toBe(CHECKSUM);
    expect(rounds[0]!.instructions).toBeGreaterThan(sieve('--engine', 'processor').rounds[0]!.instructions!);
  });

  it('gives the same as 32-bit code', () => {
    const { checksum, rounds } = sieve('--engine', 'processor', '--bits', '32');
    expect(checksum).toBe(CHECKSUM);
    expect(rounds[0]!.instructions).toBeGreaterThan(100_000_000);
  });

  it('gives the same in v86', () => {
    expect(sieve('--engine', 'v86').checksum).toBe(CHECKSUM);
  });

  it.skipIf(!hasQemu)('gives the same in QEMU, where it is installed', () => {
    expect(sieve('--engine', 'qemu', '--icount').checksum).toBe(CHECKSUM);
  });

  it.skipIf(process.platform !== 'linux' || process.arch !== 'x64')("gives the same on the host's processor, under Linux on x86-64", () => {
    expect(sieve('--engine', 'native').checksum).toBe(CHECKSUM);
  });
});

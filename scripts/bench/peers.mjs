/** The workload on other machines: v86, QEMU's TCG, and the host's own processor. */
import { spawn, spawnSync } from 'node:child_process';
import { chmodSync, copyFileSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { PhaseLines, phaseNames, workloadFile } from './phase-lines.mjs';

const QEMU = 'qemu-system-x86_64';
const MEMORY_MIB = 16;

/** The folder of v86's package, or null. */
function v86Folder() {
  try {
    return dirname(createRequire(import.meta.url).resolve('v86/package.json'));
  } catch {
    return null;
  }
}

/** v86's version, or null without it. */
export function v86Version() {
  const folder = v86Folder();
  return folder === null ? null : JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')).version.split('+')[0];
}

/** The version of QEMU that is installed, or null. */
export function qemuVersion() {
  const { status, stdout } = spawnSync(QEMU, ['--version'], { encoding: 'utf8' });
  return status === 0 ? /version (\S+)/.exec(stdout)[1] : null;
}

/** Whether this machine runs the workload's program as it is. */
export const isLinuxOnX64 = () => process.platform === 'linux' && process.arch === 'x64';

/**
 * In v86, its JIT on, without a BIOS: it loads a Multiboot kernel itself. Its exit port throws where nobody can catch, so the guest is stopped in a round of the
 * last phase that nobody asked for.
 */
export async function inV86({ rounds, phases }) {
  const build = join(v86Folder(), 'build');
  const { V86 } = await import(pathToFileURL(join(build, 'libv86.mjs')).href);
  const kernel = readFileSync(workloadFile('multiboot32'));
  const last = phaseNames.findLast((name) => phases.length === 0 || phases.includes(name));
  const lines = new PhaseLines();
  const emulator = new V86({
    wasm_path: join(build, 'v86.wasm'),
    memory_size: MEMORY_MIB << 20,
    vga_memory_size: 1 << 20,
    multiboot: { buffer: new Uint8Array(kernel).buffer },
    cmdline: [`rounds=${rounds + 1}`, ...phases].join(' '),
    disable_speaker: true,
    autostart: true,
  });
  await new Promise((resolve) => {
    emulator.add_listener('serial0-output-byte', (byte) => {
      lines.add(byte);
      if (lines.phases[last]?.rounds.length === rounds) resolve();
    });
  });
  await emulator.destroy();
  for (const phase of Object.values(lines.phases)) phase.rounds.length = rounds;
  return { phases: lines.phases };
}

/** In QEMU by TCG. `icount`: an instruction a nanosecond of its virtual time, as its deterministic mode counts. */
export function inQemu({ commandLine, icount }) {
  const machine = ['-machine', 'pc', '-accel', 'tcg', '-m', String(MEMORY_MIB), '-nodefaults', '-no-user-config', '-display', 'none', '-serial', 'stdio', '-device', 'isa-debug-exit,iobase=0xf4,iosize=4'];
  return hear(QEMU, [...machine, ...(icount ? ['-icount', 'shift=0'] : []), '-kernel', fileURLToPath(workloadFile('multiboot64')), '-append', commandLine], 1);
}

/** On the host's processor, as a program. */
export async function natively({ commandLine }) {
  // The committed file need not be executable.
  const folder = mkdtempSync(join(tmpdir(), 'workload-'));
  const program = join(folder, 'workload');
  try {
    copyFileSync(workloadFile('linux'), program);
    chmodSync(program, 0o755);
    return await hear(program, [commandLine], 0);
  } finally {
    if (existsSync(folder)) rmSync(folder, { recursive: true });
  }
}

async function hear(command, args, expectedStatus) {
  const lines = new PhaseLines();
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  child.stdout.on('data', (bytes) => {
    for (const byte of bytes) lines.add(byte);
  });
  const status = await new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', resolve);
  });
  if (status !== expectedStatus) throw new Error(`${command} ended with ${status}`);
  return { phases: lines.phases };
}

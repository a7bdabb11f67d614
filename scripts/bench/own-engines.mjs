/** The workload on this project's own processor: in a partition, or on the processor alone. */
import { readFileSync } from 'node:fs';
import { bundledLibrary } from './bundled.mjs';
import { PhaseLines, workloadFile } from './phase-lines.mjs';

const library = await bundledLibrary();

const HOUR_NS = 3600e9;
const MEMORY_MIB = 16;

/**
 * In a partition: intercepts, timers and exact stops as every guest has them. `ticks`: a 1000 Hz timer interrupts it. A virtual second at an instruction a tick
 * has two thousand million instructions for a thousand ticks: V8 would compile the way of an exit for as long as anybody measures, so at first the ticks come
 * a hundred times as often.
 */
export async function inPartition({ commandLine, ticks, ...options }) {
  if (!ticks) return runPartition({ ...options, commandLine });
  await runPartition({ ...options, ips: undefined, commandLine: 'ticks rounds=1 hash64' });
  return runPartition({ ...options, commandLine: `ticks ${commandLine}` });
}

async function runPartition({ bits, commandLine, cpu, backing, guestTimer, ips }) {
  const { createPartition, multibootLoader, pcChipset, readMultibootImage, snpBacking, tdxBacking } = library;
  const backings = { tdx: tdxBacking, snp: snpBacking };
  const lines = new PhaseLines(() => partition.instructions);
  const partition = createPartition({
    backing: backings[backing](),
    guestTimer,
    memoryMiB: MEMORY_MIB,
    ...(ips === undefined ? {} : { ips }),
    ...(cpu === undefined ? {} : { cpu }),
    load: multibootLoader(readMultibootImage(readFileSync(workloadFile(`multiboot${bits}`))), { commandLine }),
    chipset: pcChipset({ serial: (byte) => lines.add(byte) }),
  });
  const outcome = partition.run({ timeoutNs: HOUR_NS });
  if (outcome.exitStatus !== 1) throw new Error(`the workload ended as ${outcome.kind}: ${outcome.reason}`);
  return { phases: lines.phases };
}

/** On the processor alone, stopped after every `slice` instructions. */
export async function onProcessor({ bits, commandLine, cpu, slice }) {
  const { ExitKind, Stop, createMachineMemory, createProcessor, multibootLoader, readMultibootImage, stateLayout } = library;
  const memory = createMachineMemory({ contexts: 1, ramBytes: MEMORY_MIB << 20, permissionTables: 1, hostPages: 1 });
  const clock = { ticks: () => processor.retired };
  const processor = createProcessor(memory, { index: 0, permissionTable: 0, vendor: 'intel', clock, ...(cpu === undefined ? {} : { executor: cpu }) });
  const image = readMultibootImage(readFileSync(workloadFile(`multiboot${bits}`)));
  setRegisters(processor, stateLayout, multibootLoader(image, { commandLine }).load({ ramBytes: MEMORY_MIB << 20, write: (gpa, bytes) => memory.writeRam(gpa, bytes) }));
  processor.intercepts.io = true;
  processor.interceptsChanged();

  const lines = new PhaseLines(() => processor.retired);
  const { exit, i32: state } = processor;
  for (;;) {
    const stop = processor.run(slice);
    if (stop === Stop.Budget) continue;
    if (stop !== Stop.Intercept || exit.kind !== ExitKind.Io) throw new Error(`the workload ended with stop ${stop}, exit ${exit.kind}`);
    if (exit.port === EXIT_PORT) return { phases: lines.phases };
    if (exit.isIn !== 0) state[stateLayout.gpr >> 2] = (state[stateLayout.gpr >> 2] & ~0xff) | TRANSMITTER_EMPTY;
    else lines.add(state[stateLayout.gpr >> 2] & 0xff);
    state[stateLayout.rip >> 2] += exit.instructionLength;
  }
}

/** isa-debug-exit; the line status of COM1, of which nothing else is read. */
const EXIT_PORT = 0xf4;
const TRANSMITTER_EMPTY = 0x20;

function setRegisters(processor, layout, { gpr, rip, rflags, cr0, pat, gdtr, segments }) {
  const view = new DataView(processor.bytes.buffer, processor.bytes.byteOffset, processor.bytes.byteLength);
  gpr.forEach((value, i) => view.setBigUint64(layout.gpr + 8 * i, value, true));
  for (const [offset, value] of [[layout.rip, rip], [layout.cr0, cr0], [layout.pat, pat], [layout.gdtrBase, gdtr.base]]) view.setBigUint64(offset, value, true);
  view.setUint32(layout.gdtrLimit, gdtr.limit, true);
  segments.forEach(({ selector, attributes, limit, base }, i) => {
    const at = layout.segments + i * layout.segmentSize;
    view.setUint16(at, selector, true);
    view.setUint16(at + 2, attributes, true);
    view.setUint32(at + 4, limit, true);
    view.setBigUint64(at + 8, base, true);
  });
  processor.writeRflags(Number(rflags));
  processor.stateChanged();
}

import { HvStatus } from '@paravisor/hcl-protocol';
import { describe, expect, it } from 'vitest';
import { ScriptedMachine } from '../../test/scripted-partition.js';
import { createParavisor } from '../vp/index.js';

const RAX = 0;
const RCX = 1;
const FAST = 1n << 16n;

/** RAX after a hypercall with `control` in RCX. */
function call(control: bigint): bigint {
  const machine = new ScriptedMachine();
  createParavisor(machine.options);
  const registers = machine.recording.registers(0);
  registers.gpr[RAX] = 0xffff_ffff_ffff_ffffn;
  registers.gpr[RCX] = control;
  machine.recording.context.handlers.hypercall(0);
  return registers.gpr[RAX]!;
}

describe('hypercalls (TLFS "Hypercall Interface")', () => {
  it('HvNotifyLongSpinWait succeeds, fast or not', () => {
    expect(call(0x0008n)).toBe(BigInt(HvStatus.Success));
    expect(call(0x0008n | FAST)).toBe(BigInt(HvStatus.Success));
  });

  it('an unknown call code is answered as such, whatever the rest of the control', () => {
    expect(call(0x7fffn)).toBe(BigInt(HvStatus.InvalidHypercallCode));
    expect(call(0x7fffn | (1n << 63n))).toBe(BigInt(HvStatus.InvalidHypercallCode));
  });

  it.each([
    ['reserved bit 27', 1n << 27n],
    ['a rep count', 1n << 32n],
    ['reserved bit 44', 1n << 44n],
    ['a rep start index', 1n << 48n],
    ['reserved bit 60', 1n << 60n],
    ['a variable header', 1n << 17n],
  ])('a simple call with %s is invalid input', (_name, bits) => {
    expect(call(0x0008n | bits)).toBe(BigInt(HvStatus.InvalidHypercallInput));
  });
});

import { HvMsr, HvStatus, RunStatus, U64, viewHvMessage } from '@paravisor/hcl-protocol';
import { beforeEach, describe, expect, it } from 'vitest';
import { FlatMemory } from '../conformance/flat-memory.js';
import { RAM_BYTES, ScriptedMachine } from '../../test/scripted-partition.js';
import type { PlainRegisters, RecordingVp } from '../../test/scripted-partition.js';
import { OwnPort, ownConnection } from '../synic/index.js';
import { createParavisor } from '../vp/index.js';
import type { Paravisor } from '../vp/index.js';
import { HvCallCode } from './control.js';
import { HypercallDispatcher } from './dispatch.js';
import { flushCalls, hypercallTable, sendSyntheticClusterIpi, sendSyntheticClusterIpiEx } from './index.js';

const { Success, InvalidParameter, InvalidHypercallInput, AccessDenied, InvalidVtlState, OperationDenied, InvalidConnectionId } = HvStatus;
const Gpr = { Rax: 0, Rcx: 1, Rdx: 2, R8: 8 } as const;
const FAST = 1 << 16;
const INPUT = 0x1000;
const VPS = 64;

/** Little-endian bytes of [size, value] fields. */
function bytesOf(fields: readonly (readonly [size: number, value: number | bigint])[]): Uint8Array {
  const bytes: number[] = [];
  for (const [size, value] of fields) for (let i = 0n; i < BigInt(size); i++) bytes.push(Number((BigInt(value) >> (8n * i)) & 0xffn));
  return Uint8Array.from(bytes);
}

/** What a call whose input is in memory answers, status in bits 15:0. `variableWords`: of the input, how many belong to the variable header. */
type Call = (vtl: number, code: number, input: Uint8Array, options?: { variableWords?: number; reps?: number }) => bigint;

function callerOf(registers: PlainRegisters, memory: { write(gpa: number, bytes: Uint8Array): boolean }, dispatch: (vtl: number) => unknown): Call {
  return (vtl, code, input, { variableWords = 0, reps = 0 } = {}) => {
    memory.write(INPUT, input);
    registers.gpr[Gpr.Rcx] = BigInt(code) | (BigInt(variableWords) << 17n) | (BigInt(reps) << 32n);
    registers.gpr[Gpr.Rdx] = BigInt(INPUT);
    registers.gpr[Gpr.Rax] = -1n;
    dispatch(vtl);
    return registers.gpr[Gpr.Rax]!;
  };
}

describe('calls about other VPs', () => {
  let log: string[];
  let call: Call;

  beforeEach(() => {
    log = [];
    const machine = new ScriptedMachine();
    createParavisor(machine.options);
    const backing: RecordingVp = machine.recording;
    const targets = {
      vpCount: VPS,
      requestInterrupt: (vp: number, vtl: number, vector: number) => void log.push(`${vp}.${vtl} vector ${vector}`),
      flushTlb: (vp: number, vtl: number) => void log.push(`${vp}.${vtl} flush`),
    };
    const memory = new FlatMemory(RAM_BYTES);
    const table = hypercallTable([sendSyntheticClusterIpi(targets), sendSyntheticClusterIpiEx(targets), ...flushCalls(targets)]);
    const dispatcher = new HypercallDispatcher({ vp: 0, memory, table });
    // The calls read the registers of the VTL that calls.
    const registers = backing.registers(0);
    backing.vtlRegisters[1] = registers;
    call = callerOf(registers, memory, (vtl) => dispatcher.dispatch(vtl, backing));
  });

  describe('HvCallSendSyntheticClusterIpi (TLFS; openvmm)', () => {
    const USE_VTL = 0x10;
    const ipi = ({ vector = 0x50, targetVtl = 0, flags = 0, mask = 0b1010n } = {}): Uint8Array =>
      bytesOf([
        [4, vector],
        [1, targetVtl],
        [1, flags],
        [2, 0],
        [8, mask],
      ]);
    const send = (fields = {}, vtl = 0): bigint => call(vtl, HvCallCode.SendSyntheticClusterIpi, ipi(fields));

    it('requests the vector at every VP of the mask', () => {
      expect(send({ mask: (1n << 63n) | 0b1010n })).toBe(BigInt(Success));
      expect(log).toEqual(['1.0 vector 80', '3.0 vector 80', '63.0 vector 80']);
    });

    it.each([
      ['a vector below 16', { vector: 15 }, 0, InvalidParameter],
      ['a vector above 255', { vector: 256 }, 0, InvalidParameter],
      ['flags', { flags: 1 }, 0, InvalidParameter],
      ['a reserved bit beside the VTL', { targetVtl: 0x20 }, 0, InvalidParameter],
      ['a VTL that does not exist', { targetVtl: USE_VTL | 3 }, 0, InvalidParameter],
      ['a VTL above its own', { targetVtl: USE_VTL | 1 }, 0, AccessDenied],
      ['VTL1 of VTL1, which is not reached so', { targetVtl: USE_VTL | 1 }, 1, InvalidVtlState],
      ['its own VTL1 unnamed', {}, 1, InvalidVtlState],
    ])('a caller that names %s is refused, and nothing is sent', (_, fields, vtl, status) => {
      expect(send(fields, vtl)).toBe(BigInt(status));
      expect(log).toEqual([]);
    });

    it('VTL1 reaches VTL0 by naming it', () => {
      expect(send({ targetVtl: USE_VTL, mask: 1n }, 1)).toBe(BigInt(Success));
      expect(log).toEqual(['0.0 vector 80']);
    });

    const sendEx = (words: readonly bigint[]): bigint =>
      call(
        0,
        HvCallCode.SendSyntheticClusterIpiEx,
        bytesOf([[4, 0x50], [1, 0], [1, 0], [2, 0], ...words.map((word) => [8, word] as const)]),
        { variableWords: words.length },
      );

    it('Ex takes a sparse set: which banks of 64 VPs follow, and those', () => {
      expect(sendEx([0n, 0b1n, 0x8000_0001n])).toBe(BigInt(Success));
      expect(log).toEqual(['0.0 vector 80', '31.0 vector 80']);
      // VPs 64 and up do not exist here, and are passed over.
      expect(sendEx([0n, 0b10n | (1n << 40n), -1n, -1n])).toBe(BigInt(Success));
      expect(log).toHaveLength(2);
    });

    it.each([
      ['format "all", which openvmm does not know', [1n, 0n]],
      ['fewer banks than it says', [0n, 0b11n, 1n]],
      ['more banks than it says', [0n, 0b1n, 1n, 1n]],
      ['no set at all', []],
    ])('Ex with %s is InvalidParameter', (_, words) => {
      expect(sendEx(words)).toBe(BigInt(InvalidParameter));
      expect(log).toEqual([]);
    });
  });

  describe('flushes (TLFS "HvCallFlushVirtualAddressSpace"; openvmm hcvm_validate_flush_inputs)', () => {
    const ALL = 1n;
    const EXTENDED_RANGES = 8n;
    const space = (flags: bigint, mask: bigint): Uint8Array => bytesOf([[8, 0x1000], [8, flags], [8, mask]]);

    it('forget the caller’s translations at every VP of the mask, or at all', () => {
      expect(call(0, HvCallCode.FlushVirtualAddressSpace, space(6n, 0b110n))).toBe(BigInt(Success));
      expect(log).toEqual(['1.0 flush', '2.0 flush']);
      expect(call(1, HvCallCode.FlushVirtualAddressSpace, space(ALL, 0n))).toBe(BigInt(Success));
      expect(log.slice(2)).toEqual(Array.from({ length: VPS }, (_, vp) => `${vp}.1 flush`));
    });

    it('of a list count every range as done', () => {
      const list = Uint8Array.from([...space(EXTENDED_RANGES, 1n), ...bytesOf([[8, 0x2000], [8, 0x3000]])]);
      expect(call(0, HvCallCode.FlushVirtualAddressList, list, { reps: 2 })).toBe(2n << 32n);
      expect(log).toEqual(['0.0 flush']);
    });

    it('Ex take a sparse set', () => {
      const input = bytesOf([[8, 0], [8, 0], [8, 0], [8, 1], [8, 0b101]]);
      expect(call(0, HvCallCode.FlushVirtualAddressSpaceEx, input, { variableWords: 3 })).toBe(BigInt(Success));
      expect(call(0, HvCallCode.FlushVirtualAddressListEx, Uint8Array.from([...input, ...bytesOf([[8, 0x2000]])]), { variableWords: 3, reps: 1 })).toBe(1n << 32n);
      expect(log).toEqual(['0.0 flush', '2.0 flush', '0.0 flush', '2.0 flush']);
    });

    it.each([
      ['no VP and not all', HvCallCode.FlushVirtualAddressSpace, space(0n, 0n), 0],
      ['an unknown flag', HvCallCode.FlushVirtualAddressSpace, space(0x10n, 1n), 0],
      ['the range format of a list', HvCallCode.FlushVirtualAddressSpace, space(EXTENDED_RANGES, 1n), 0],
      ['a list and an unknown flag', HvCallCode.FlushVirtualAddressList, Uint8Array.from([...space(1n << 40n, 1n), ...bytesOf([[8, 0]])]), 1],
    ])('with %s are InvalidParameter', (_, code, input, reps) => {
      expect(call(0, code, input, { reps })).toBe(BigInt(InvalidParameter));
      expect(log).toEqual([]);
    });
  });
});

describe('messages and events through a running VP', () => {
  const SIMP = 0x4000;
  const SIEFP = 0x5000;
  let machine: ScriptedMachine;
  let paravisor: Paravisor;
  let call: Call;

  const wrmsr = (msr: number, value: number, vtl = 0): void => void machine.recording.context.handlers.writeMsr(vtl, msr, U64.of(value));
  const slot = (sint: number) => viewHvMessage(machine.memory.bytes, SIMP + 256 * sint);

  beforeEach(() => {
    machine = new ScriptedMachine();
    paravisor = createParavisor(machine.options);
    const { handlers } = machine.recording.context;
    call = callerOf(machine.recording.registers(0), machine.memory, (vtl) => handlers.hypercall(vtl));
    wrmsr(HvMsr.Simp, SIMP | 1);
    wrmsr(HvMsr.Siefp, SIEFP | 1);
    wrmsr(HvMsr.Sint0 + 2, 0x62);
    const vp = paravisor.vps[0]!;
    vp.apic(0).writeMmio(0xfee000f0, 4, U64.of(0x1ff));
    vp.prepare();
    machine.takeLog();
  });

  const message = (connection: number, size = 3): Uint8Array =>
    bytesOf([[4, connection], [4, 0], [4, 7], [4, size], ...Array.from({ length: 240 }, (_, i) => [1, i + 1] as const)]);
  const post = (connection: number, size = 3): bigint => call(0, HvCallCode.PostMessage, message(connection, size));

  it('HvCallPostMessage queues for the port’s SINT; the next round posts it and raises the interrupt (TLFS)', () => {
    paravisor.ports.addMessagePort(1, { to: { vp: 0, vtl: 0, sint: 2 } });
    expect(post(1)).toBe(BigInt(Success));
    expect(slot(2).type).toBe(0);
    paravisor.vps[0]!.prepare();
    expect(slot(2)).toMatchObject({ type: 7, payloadSize: 3, flags: 0 });
    expect([...slot(2).payload.subarray(0, 4)]).toEqual([1, 2, 3, 0]);
    expect(machine.takeLog()).toContain('offer 0 98');
  });

  it('a busy slot keeps the others queued: each comes after the guest has taken the one before, and its EOM', () => {
    paravisor.ports.addMessagePort(1, { to: { vp: 0, vtl: 0, sint: 2 } });
    for (let size = 1; size <= 3; size++) post(1, size);
    const sizes: number[] = [];
    for (let round = 0; round < 4; round++) {
      paravisor.vps[0]!.prepare();
      // The first was posted with nothing behind it in the slot; a second that has to wait asks for an EOM.
      sizes.push(slot(2).type === 0 ? 0 : slot(2).payloadSize);
      if (round === 0) expect(slot(2).flags).toBe(1);
      slot(2).type = 0;
      wrmsr(HvMsr.Eom, 0);
    }
    expect(sizes).toEqual([1, 2, 3, 0]);
  });

  it('as many messages as a guest may have waiting, and no more: InsufficientBuffers', () => {
    paravisor.ports.addMessagePort(1, { to: { vp: 0, vtl: 0, sint: 2 } });
    const statuses = Array.from({ length: 65 }, () => post(1));
    expect(statuses.lastIndexOf(0n)).toBe(63);
    expect(statuses[64]).toBe(BigInt(HvStatus.InsufficientBuffers));
  });

  it('a payload above 240 bytes is InvalidParameter, a port that is not there InvalidConnectionId, one of VTL1 OperationDenied', () => {
    paravisor.ports.addMessagePort(1, { to: () => true, minimumVtl: 1 });
    expect([post(1, 241), post(2), post(1)]).toEqual([InvalidParameter, InvalidConnectionId, OperationDenied].map(BigInt));
  });

  it('a message does not fit registers: the fast form is invalid input', () => {
    expect(call(0, HvCallCode.PostMessage | FAST, message(1))).toBe(BigInt(InvalidHypercallInput));
  });

  it('a message of VTL0 reaches a SINT of VTL1', () => {
    paravisor.ports.addMessagePort(1, { to: { vp: 0, vtl: 1, sint: 2 } });
    wrmsr(HvMsr.Simp, 0x6001, 1);
    wrmsr(HvMsr.Sint0 + 2, 0x72, 1);
    expect(call(0, HvCallCode.EnablePartitionVtl, bytesOf([[8, -1], [1, 1], [7, 0]]))).toBe(BigInt(Success));
    expect(call(0, HvCallCode.EnableVpVtl, bytesOf([[8, -1], [4, 0], [1, 1], [227, 0]]))).toBe(BigInt(Success));
    post(1);
    paravisor.vps[0]!.prepare();
    expect(viewHvMessage(machine.memory.bytes, 0x6000 + 512).type).toBe(7);
    expect(machine.takeLog()).toContain('offer 1 114');
  });

  it('HvCallSignalEvent sets the flag at once, from memory or from a register, and raises the interrupt', () => {
    paravisor.ports.addEventPort(9, { to: { vp: 0, vtl: 0, sint: 2, flagBase: 8, flagCount: 16 } });
    expect(call(0, HvCallCode.SignalEvent, bytesOf([[4, 9], [2, 1], [2, 0]]))).toBe(BigInt(Success));
    expect(machine.memory.bytes[SIEFP + 512 + 1]).toBe(0b10);
    const registers = machine.recording.registers(0);
    registers.gpr[Gpr.Rcx] = BigInt(HvCallCode.SignalEvent | FAST);
    registers.gpr[Gpr.Rdx] = 9n | (15n << 32n);
    machine.recording.context.handlers.hypercall(0);
    expect(registers.gpr[Gpr.Rax]).toBe(BigInt(Success));
    expect(machine.memory.bytes[SIEFP + 512 + 2]).toBe(0x80);
    paravisor.vps[0]!.prepare();
    expect(machine.takeLog()).toContain('offer 0 98');
  });
});

describe('from one VP to another', () => {
  const SIMP = 0x4000;
  const SIEFP = 0x5000;
  const VECTOR = 0x62;

  /** Two VPs; the second is inside the run ioctl, its SINT 2 ready. */
  function start() {
    const machine = new ScriptedMachine({ vps: 2 });
    const paravisor = createParavisor({ ...machine.options, ownPorts: true });
    const [sender, target] = machine.recordings.map(({ context }) => context);
    for (const [msr, value] of [
      [HvMsr.Simp, SIMP | 1],
      [HvMsr.Siefp, SIEFP | 1],
      [HvMsr.Sint0 + 2, VECTOR],
    ] as const) {
      target!.handlers.writeMsr(0, msr, U64.of(value));
    }
    const vp = paravisor.vps[1]!;
    vp.apic(0).writeMmio(0xfee000f0, 4, U64.of(0x1ff));
    expect(vp.run()).toBeNull();
    machine.takeLog();
    const call = callerOf(machine.recording.registers(0), machine.memory, (vtl) => sender!.handlers.hypercall(vtl));
    return { machine, vp, call, target: target! };
  }

  /** The other VP's thread comes out of the ioctl and goes round. */
  function nextRound({ machine, vp }: ReturnType<typeof start>): void {
    machine.vps[1]!.onRun = () => RunStatus.Pending;
    vp.complete(RunStatus.Cancelled);
    vp.prepare();
  }

  it('a message calls the other back from its run, and is in its slot after its next round', () => {
    const started = start();
    const { machine, call, vp } = started;
    expect(call(0, HvCallCode.PostMessage, bytesOf([[4, ownConnection(OwnPort.Message, { vp: 1, vtl: 0, sint: 2 })], [4, 0], [4, 7], [4, 1], [240, 9]]))).toBe(BigInt(Success));
    expect(machine.takeLog()).toEqual(['vp1 wake']);
    nextRound(started);
    expect(viewHvMessage(machine.memory.bytes, SIMP + 512)).toMatchObject({ type: 7, payloadSize: 1 });
    expect(vp.apic(0).requests.irr.has(VECTOR)).toBe(true);
  });

  it('an event sets the flag in the other’s page at once, and calls it back', () => {
    const started = start();
    const { machine, call, vp } = started;
    expect(call(0, HvCallCode.SignalEvent, bytesOf([[4, ownConnection(OwnPort.Event, { vp: 1, vtl: 0, sint: 2 })], [2, 77], [2, 0]]))).toBe(BigInt(Success));
    expect(machine.memory.bytes[SIEFP + 512 + 9]).toBe(1 << 5);
    expect(machine.takeLog()).toEqual(['vp1 wake']);
    nextRound(started);
    expect(vp.apic(0).requests.irr.has(VECTOR)).toBe(true);
  });

  it('a cluster IPI and a flush call it back as well', () => {
    const { machine, call, vp } = start();
    expect(call(0, HvCallCode.SendSyntheticClusterIpi, bytesOf([[4, 0x80], [4, 0], [8, 0b10]]))).toBe(BigInt(Success));
    expect([machine.takeLog(), vp.apic(0).requests.staged.has(0x80)]).toEqual([['vp1 wake'], true]);
    expect(call(0, HvCallCode.FlushVirtualAddressSpace, bytesOf([[8, 0], [8, 0], [8, 0b10]]))).toBe(BigInt(Success));
    expect(machine.takeLog()).toEqual(['vp1 flush 0', 'vp1 wake']);
  });
});

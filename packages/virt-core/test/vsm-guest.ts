/** A guest that makes hypercalls in memory, and a partition with VTL1 on, for specs of guest VSM and of several VPs. */
import { HV_VP_INDEX_SELF, HvVpRegister, InputVtl, RunStatus, U64, hvInitialVpContextLayout } from '@paravisor/hcl-protocol';
import { HvCallCode } from '../src/hypercall/index.js';
import { createParavisor } from '../src/vp/index.js';
import { ScriptedMachine } from './scripted-partition.js';

const Gpr = { Rax: 0, Rcx: 1, Rdx: 2, R8: 8 } as const;
const INPUT = 0x8000;
const OUTPUT = 0x9000;
export const SELF = 0xffff_ffff_ffff_ffffn;
const CONTEXT = hvInitialVpContextLayout;

/** Bytes of a hypercall input, little-endian. */
export class Input {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  constructor(size: number) {
    this.bytes = new Uint8Array(size);
    this.view = new DataView(this.bytes.buffer);
  }
  u64(offset: number, value: bigint): this {
    this.view.setBigUint64(offset, value, true);
    return this;
  }
  u32(offset: number, value: number): this {
    this.view.setUint32(offset, value, true);
    return this;
  }
  u8(offset: number, value: number): this {
    this.view.setUint8(offset, value);
    return this;
  }
  /** A context at `offset` that starts at `rip`, in 64-bit mode. */
  context(offset: number, rip: bigint): this {
    const { fields } = CONTEXT;
    this.u64(offset + fields.rip.offset, rip).u64(offset + fields.rsp.offset, 0x7000n).u64(offset + fields.rflags.offset, 2n);
    this.u64(offset + fields.efer.offset, 0xd01n).u64(offset + fields.cr0.offset, 0x80000011n).u64(offset + fields.cr3.offset, 0x5000n);
    this.u64(offset + fields.cr4.offset, 0x20n).u64(offset + fields.pat.offset, 0x0007040600070406n);
    this.view.setUint16(offset + fields.cs.offset + 12, 8, true);
    this.view.setUint16(offset + fields.cs.offset + 14, 0xa09b, true);
    this.u64(offset + fields.gdtr.offset + 8, 0x6000n);
    this.view.setUint16(offset + fields.gdtr.offset + 6, 0x7f, true);
    return this;
  }
}

export interface CallOptions {
  readonly vp?: number;
  readonly vtl?: number;
  readonly reps?: number;
}

/** What RAX says, and the first words of the output. */
export interface CallResult {
  readonly status: number;
  readonly reps: number;
  readonly output: DataView;
  readonly finished: boolean;
}

/** A partition whose guest is written by the test. */
export class VsmGuest {
  readonly machine: ScriptedMachine;
  readonly paravisor;

  constructor(options: ConstructorParameters<typeof ScriptedMachine>[0] & { guestVsm?: boolean } = {}) {
    this.machine = new ScriptedMachine(options);
    this.paravisor = createParavisor({ ...this.machine.options, guestVsm: options.guestVsm ?? true });
  }

  /** Makes a hypercall with its input in memory. */
  call(code: number, input: Input, { vp = 0, vtl = 0, reps = 0 }: CallOptions = {}): CallResult {
    const { machine } = this;
    const recording = machine.recordings[vp]!;
    const registers = recording.registers(vtl);
    machine.memory.bytes.set(input.bytes, INPUT);
    registers.gpr[Gpr.Rcx] = BigInt(code) | (BigInt(reps) << 32n);
    registers.gpr[Gpr.Rdx] = BigInt(INPUT);
    registers.gpr[Gpr.R8] = BigInt(OUTPUT);
    const finished = recording.context.handlers.hypercall(vtl);
    const rax = registers.gpr[Gpr.Rax]!;
    const output = new DataView(machine.memory.bytes.buffer, machine.memory.bytes.byteOffset + OUTPUT, 4096);
    return { status: Number(rax & 0xffffn), reps: Number((rax >> 32n) & 0xfffn), output, finished };
  }

  /** VTL call or return with `input` in RAX. Whether it was allowed. */
  switchVtl(code: number, vtl: number, input = 0n, vp = 0): boolean {
    const recording = this.machine.recordings[vp]!;
    const registers = recording.registers(vtl);
    registers.gpr[Gpr.Rcx] = BigInt(code);
    registers.gpr[Gpr.Rax] = input;
    return recording.context.handlers.hypercall(vtl);
  }

  enablePartitionVtl(vtl = 1, flags = 0, options: CallOptions = {}): number {
    return this.call(HvCallCode.EnablePartitionVtl, new Input(16).u64(0, SELF).u8(8, vtl).u8(9, flags), options).status;
  }

  enableVpVtl(vp: number, rip = 0x40_0000n, options: CallOptions = {}): number {
    return this.call(HvCallCode.EnableVpVtl, new Input(240).u64(0, SELF).u32(8, vp).u8(12, 1).context(16, rip), options).status;
  }

  startVp(target: number, vtl = 0, options: CallOptions = {}): number {
    return this.call(HvCallCode.StartVirtualProcessor, new Input(240).u64(0, SELF).u32(8, target).u8(12, vtl).context(16, 0x30_0000n), options).status;
  }

  /** Reads a register of `target`; the status when it fails. */
  getRegister(name: number, target: number, options: CallOptions = { vtl: 1 }): bigint | { status: number } {
    const input = new Input(20).u64(0, SELF).u32(8, HV_VP_INDEX_SELF).u8(12, InputVtl.UseTargetVtl | target).u32(16, name);
    const { status, output } = this.call(HvCallCode.GetVpRegisters, input, { ...options, reps: 1 });
    return status === 0 ? output.getBigUint64(0, true) : { status };
  }

  /** Writes a register of `target`. */
  setRegister(name: number, target: number, value: bigint, options: CallOptions = { vtl: 1 }): number {
    const input = new Input(48).u64(0, SELF).u32(8, HV_VP_INDEX_SELF).u8(12, InputVtl.UseTargetVtl | target).u32(16, name).u64(32, value);
    return this.call(HvCallCode.SetVpRegisters, input, { ...options, reps: 1 }).status;
  }

  /** One whole round of a VP with an exit that asks for nothing. */
  round(vp = 0): void {
    const target = this.paravisor.vps[vp]!;
    target.prepare();
    target.complete(RunStatus.Finished);
  }

  write(msr: number, value: bigint, vtl = 0, vp = 0): number {
    return this.machine.recordings[vp]!.context.handlers.writeMsr(vtl, msr, U64.of(value));
  }

  read(msr: number, vtl = 0, vp = 0): bigint {
    const value = new U64();
    this.machine.recordings[vp]!.context.handlers.readMsr(vtl, msr, value);
    return value.toBigInt();
  }

  /** VTL1 on for the partition and the first VP, which runs VTL0; its APIC and assist page ready, VINA with this vector (none for 0). */
  withVtl1(vina = 0): this {
    this.enablePartitionVtl();
    this.enableVpVtl(0);
    this.round();
    this.write(0x40000073, BigInt(ASSIST | 1), 1);
    if (vina !== 0) this.setRegister(HvVpRegister.VsmVina, 1, BigInt(vina | (1 << 8) | (1 << 9)));
    for (const vtl of [0, 1]) {
      this.write(0x1b, 0xfee00d00n, vtl);
      this.write(0x80f, 0x1ffn, vtl);
    }
    this.round();
    this.machine.takeLog();
    return this;
  }
}

/** Where `withVtl1` puts VTL1's assist page. */
export const ASSIST = 0xa000;

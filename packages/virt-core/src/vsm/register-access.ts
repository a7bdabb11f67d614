import { HvMsr, HvStatus, MshvCapability, PendingEvent, U64, VSM_RETURN_OFFSET_SHIFT, VsmCapability, VsmSecureConfig } from '@paravisor/hcl-protocol';
import type { ReadonlyU64 } from '@paravisor/hcl-protocol';
import { MsrStatus } from '../contract/index.js';
import type { GuestRegisters, SegmentRegister, Table, TableRegister } from '../contract/index.js';
import { hypercallCodeOffsets } from '../msr/index.js';
import type { VsmCallsOptions } from './enable-vtl.js';
import { ConfigOutcome, VsmState } from './guest-vsm.js';
import { LITTLE_ENDIAN } from './input.js';
import { isDeliverableEvent } from './pending-event.js';
import { RegisterKind, vpRegister } from './register-names.js';
import type { VpRegister } from './register-names.js';
import type { VsmVp } from './vsm-vp.js';

const VTL0 = 0;
const VTL1 = 1;
/** CR8 is bits 7:4 of the task priority. */
const TPR_CLASS_SHIFT = 4;
const CR8_MAX = 0xf;

/** Registers of one VTL of the calling VP, by their TLFS names. Values are 16 bytes at an offset of a page. */
export class RegisterAccess {
  readonly #options: VsmCallsOptions;
  readonly #value = new U64();
  readonly #other = new U64();
  readonly #segment: SegmentRegister = { selector: 0, attributes: 0, limit: 0, base: new U64() };
  readonly #table: TableRegister = { limit: 0, base: new U64() };

  constructor(options: VsmCallsOptions) {
    this.#options = options;
  }

  /** Reads the register `name` of `vtl` for a caller in `caller`. Returns an `HvStatus`. */
  get(vp: VsmVp, caller: number, vtl: number, name: number, out: DataView, offset: number): number {
    const register = vpRegister(name);
    const access = accessStatus(register, caller, vtl);
    if (access !== HvStatus.Success) return access;
    if (!register.readable) return HvStatus.InvalidParameter;
    const registers = vp.backing.registers(vtl);
    if (register.kind === RegisterKind.Segment) return this.#readSegment(registers, register.index, out, offset);
    if (register.kind === RegisterKind.Table) return this.#readTable(registers, register.index as Table, out, offset);
    const status = this.#read(vp, registers, vtl, register, this.#value.setParts(0, 0));
    if (status !== HvStatus.Success) return status;
    out.setInt32(offset, this.#value.lo, LITTLE_ENDIAN);
    out.setInt32(offset + 4, this.#value.hi, LITTLE_ENDIAN);
    clear(out, offset + 8, 8);
    return HvStatus.Success;
  }

  /** Writes it. */
  set(vp: VsmVp, caller: number, vtl: number, name: number, from: DataView, offset: number): number {
    const register = vpRegister(name);
    const access = accessStatus(register, caller, vtl);
    if (access !== HvStatus.Success) return access;
    if (!register.writable) return HvStatus.InvalidParameter;
    const registers = vp.backing.registers(vtl);
    if (register.kind === RegisterKind.Segment) return this.#writeSegment(registers, register.index, from, offset);
    if (register.kind === RegisterKind.Table) return this.#writeTable(registers, register.index as Table, from, offset);
    this.#value.setParts(from.getInt32(offset, LITTLE_ENDIAN), from.getInt32(offset + 4, LITTLE_ENDIAN));
    return this.#write(vp, registers, vtl, register, this.#value);
  }

  #read(vp: VsmVp, registers: GuestRegisters, vtl: number, { kind, index }: VpRegister, out: U64): number {
    const { vsm, hcl } = this.#options;
    switch (kind) {
      case RegisterKind.Gpr:
        registers.readGpr(index, out);
        break;
      case RegisterKind.Rip:
        registers.readRip(out);
        break;
      case RegisterKind.Rflags:
        out.setParts(registers.readRflags(), 0);
        break;
      case RegisterKind.Cr:
        registers.readCr(index as 0 | 2 | 3 | 4, out);
        break;
      case RegisterKind.Cr8:
        vp.readMsr(vtl, HvMsr.Tpr, out);
        out.lo >>>= TPR_CLASS_SHIFT;
        break;
      case RegisterKind.Efer:
        registers.readEfer(out);
        break;
      case RegisterKind.OwnMsr:
        if (!registers.readMsr(index, out)) return HvStatus.InvalidParameter;
        break;
      case RegisterKind.HypervisorMsr:
      case RegisterKind.ApicBase:
        if (vp.readMsr(vtl, index, out) !== MsrStatus.Ok) return HvStatus.InvalidParameter;
        break;
      case RegisterKind.CodePageOffsets: {
        const { call, return: returnOffset } = hypercallCodeOffsets.bits64;
        out.setParts(call | (returnOffset << VSM_RETURN_OFFSET_SHIFT), 0);
        break;
      }
      case RegisterKind.Vina:
        out.set(vp.vsm.vina);
        break;
      case RegisterKind.Capabilities:
        out.setParts(VsmCapability.DenyLowerVtlStartup | (hcl.checkExtension(MshvCapability.Dr6Shared) === 1 ? VsmCapability.Dr6Shared : 0), 0);
        break;
      case RegisterKind.SecureConfig:
        if (vtl <= VTL0) return HvStatus.AccessDenied;
        if (vsm.state !== VsmState.Enabled) return HvStatus.InvalidVtlState;
        out.setParts((vsm.mbecEnabled ? VsmSecureConfig.MbecEnabled : 0) | (vp.vsm.tlbLocked ? VsmSecureConfig.TlbLocked : 0), 0);
        break;
      default:
        return HvStatus.InvalidParameter;
    }
    return HvStatus.Success;
  }

  #write(vp: VsmVp, registers: GuestRegisters, vtl: number, { kind, index }: VpRegister, value: ReadonlyU64): number {
    switch (kind) {
      case RegisterKind.Gpr:
        registers.writeGpr(index, value);
        break;
      case RegisterKind.Rip:
        registers.writeRip(value);
        break;
      case RegisterKind.Rflags:
        registers.writeRflags(value.lo);
        break;
      case RegisterKind.Cr:
        registers.writeCr(index as 0 | 4, value);
        break;
      case RegisterKind.Cr8:
        if (value.hi !== 0 || value.lo >>> 0 > CR8_MAX) return HvStatus.InvalidRegisterValue;
        vp.writeMsr(vtl, HvMsr.Tpr, this.#other.setParts(value.lo << TPR_CLASS_SHIFT, 0));
        break;
      case RegisterKind.Efer:
        registers.writeEfer(value);
        break;
      case RegisterKind.OwnMsr:
        return registers.writeMsr(index, value) ? HvStatus.Success : HvStatus.InvalidParameter;
      case RegisterKind.HypervisorMsr:
        if (vp.writeMsr(vtl, index, value) === MsrStatus.Ok) break;
        return index === HvMsr.VpAssistPage ? HvStatus.InvalidRegisterValue : HvStatus.InvalidParameter;
      case RegisterKind.ApicBase:
        // It cannot be changed by this way.
        vp.readMsr(vtl, index, this.#other);
        return this.#other.equals(value) ? HvStatus.Success : HvStatus.InvalidParameter;
      case RegisterKind.PendingEvent:
        return writePendingEvent(vp, vtl, value);
      case RegisterKind.Vina:
        vp.vsm.vina.set(value);
        break;
      case RegisterKind.PartitionConfig:
        return this.#configure(vtl, value);
      case RegisterKind.SecureConfig:
        return this.#writeSecureConfig(vp, vtl, value);
      default:
        return HvStatus.InvalidParameter;
    }
    return HvStatus.Success;
  }

  #configure(vtl: number, { lo, hi }: ReadonlyU64): number {
    if (vtl !== VTL1) return HvStatus.InvalidParameter;
    switch (this.#options.vsm.configure(lo, hi)) {
      case ConfigOutcome.Done:
        return HvStatus.Success;
      case ConfigOutcome.NotEnabled:
        return HvStatus.InvalidVtlState;
      case ConfigOutcome.Invalid:
        return HvStatus.InvalidRegisterValue;
    }
  }

  /** Of it only the TLB lock can change. */
  #writeSecureConfig(vp: VsmVp, vtl: number, { lo }: ReadonlyU64): number {
    const { vsm } = this.#options;
    if (vtl <= VTL0) return HvStatus.AccessDenied;
    if ((lo & (VsmSecureConfig.SupervisorShadowStack | VsmSecureConfig.HardwareHvpt)) !== 0) return HvStatus.InvalidRegisterValue;
    if (vsm.state !== VsmState.Enabled) return HvStatus.InvalidVtlState;
    if (((lo & VsmSecureConfig.MbecEnabled) !== 0) !== vsm.mbecEnabled) return HvStatus.InvalidRegisterValue;
    vp.vsm.tlbLocked = (lo & VsmSecureConfig.TlbLocked) !== 0;
    return HvStatus.Success;
  }

  #readSegment(registers: GuestRegisters, index: number, out: DataView, offset: number): number {
    const segment = this.#segment;
    registers.readSegment(index, segment);
    out.setInt32(offset, segment.base.lo, LITTLE_ENDIAN);
    out.setInt32(offset + 4, segment.base.hi, LITTLE_ENDIAN);
    out.setUint32(offset + 8, segment.limit, LITTLE_ENDIAN);
    out.setUint16(offset + 12, segment.selector, LITTLE_ENDIAN);
    out.setUint16(offset + 14, segment.attributes, LITTLE_ENDIAN);
    return HvStatus.Success;
  }

  #writeSegment(registers: GuestRegisters, index: number, from: DataView, offset: number): number {
    const segment = this.#segment;
    segment.base.setParts(from.getInt32(offset, LITTLE_ENDIAN), from.getInt32(offset + 4, LITTLE_ENDIAN));
    segment.limit = from.getUint32(offset + 8, LITTLE_ENDIAN);
    segment.selector = from.getUint16(offset + 12, LITTLE_ENDIAN);
    segment.attributes = from.getUint16(offset + 14, LITTLE_ENDIAN);
    registers.writeSegment(index, segment);
    return HvStatus.Success;
  }

  #readTable(registers: GuestRegisters, table: Table, out: DataView, offset: number): number {
    registers.readTable(table, this.#table);
    clear(out, offset, 6);
    out.setUint16(offset + 6, this.#table.limit, LITTLE_ENDIAN);
    out.setInt32(offset + 8, this.#table.base.lo, LITTLE_ENDIAN);
    out.setInt32(offset + 12, this.#table.base.hi, LITTLE_ENDIAN);
    return HvStatus.Success;
  }

  #writeTable(registers: GuestRegisters, table: Table, from: DataView, offset: number): number {
    this.#table.limit = from.getUint16(offset + 6, LITTLE_ENDIAN);
    this.#table.base.setParts(from.getInt32(offset + 8, LITTLE_ENDIAN), from.getInt32(offset + 12, LITTLE_ENDIAN));
    registers.writeTable(table, this.#table);
    return HvStatus.Success;
  }
}

/** A VTL's own processor registers are not to be had by this way, nor a higher one's. */
function accessStatus({ kind, architectural }: VpRegister, caller: number, vtl: number): number {
  if (architectural && vtl >= caller) return HvStatus.AccessDenied;
  if (kind === RegisterKind.PendingEvent && vtl >= caller) return HvStatus.InvalidParameter;
  if (kind === RegisterKind.Vina && vtl === VTL0) return HvStatus.InvalidParameter;
  return HvStatus.Success;
}

function writePendingEvent(vp: VsmVp, vtl: number, value: ReadonlyU64): number {
  if (vtl !== VTL0) return HvStatus.AccessDenied;
  const { pendingEvent } = vp.vsm;
  if ((value.lo & PendingEvent.Pending) === 0) {
    pendingEvent.setParts(0, 0);
    return HvStatus.Success;
  }
  if (!isDeliverableEvent(value)) return HvStatus.InvalidRegisterValue;
  pendingEvent.set(value);
  return HvStatus.Success;
}

function clear(out: DataView, offset: number, bytes: number): void {
  for (let byte = 0; byte < bytes; byte++) out.setUint8(offset + byte, 0);
}

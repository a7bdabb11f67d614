/** Register states that come from no loader: reset, INIT and a start-up IPI (SDM volume 3, table 10-1 and 9.4; openvmm `x86_init`, `handle_sipi`). */
import { U64 } from '@paravisor/hcl-protocol';
import type { HclVp } from '@paravisor/hcl-protocol';
import { Segment, Table } from '../contract/index.js';
import type { GuestRegisters, InitialRegisters, SegmentRegister } from '../contract/index.js';

const RDX = 2;
const GPRS = 16;
/** CD, NW, ET. */
const CR0_RESET = 0x60000010n;
/** NW and CD live through INIT. */
const CR0_KEPT = 0x60000000;
const RFLAGS_RESET = 2n;
const RIP_RESET = 0xfff0n;
const PAT_RESET = 0x0007040600070406n;
const SEGMENT_LIMIT = 0xffff;
/** Access rights in VMX order: accessed code, accessed data, LDT, busy TSS. */
const Rights = { Code: 0x9b, Data: 0x93, Ldt: 0x82, Tss: 0x8b } as const;
const dataSegment = { selector: 0, attributes: Rights.Data, limit: SEGMENT_LIMIT, base: 0n } as const;
const SIPI_SELECTOR_SHIFT = 8;
const SIPI_BASE_SHIFT = 12;

/** What a processor starts with at power-on: 16-bit code at F000:FFF0, its signature in RDX. */
export function resetRegisters(hcl: HclVp): InitialRegisters {
  const cpuid = new Int32Array(4);
  hcl.cpuid(1, 0, cpuid);
  const gpr = Array.from({ length: GPRS }, (_, index) => (index === RDX ? BigInt(cpuid[0]! >>> 0) : 0n));
  const segments = Array.from({ length: 8 }, (_, index) => {
    switch (index) {
      case Segment.Cs:
        return { selector: 0xf000, attributes: Rights.Code, limit: SEGMENT_LIMIT, base: 0xffff_0000n };
      case Segment.Ldtr:
        return { ...dataSegment, attributes: Rights.Ldt };
      case Segment.Tr:
        return { ...dataSegment, attributes: Rights.Tss };
      default:
        return dataSegment;
    }
  });
  const table = { base: 0n, limit: SEGMENT_LIMIT };
  return { gpr, rip: RIP_RESET, rflags: RFLAGS_RESET, cr0: CR0_RESET, cr3: 0n, cr4: 0n, efer: 0n, pat: PAT_RESET, gdtr: table, idtr: table, segments };
}

/** INIT: registers as at reset, except NW and CD of CR0, and the MSRs, PAT among them, which all stay. */
export function writeInitState(registers: GuestRegisters, hcl: HclVp): void {
  const reset = resetRegisters(hcl);
  const cell = new U64();
  for (const [index, value] of reset.gpr.entries()) registers.writeGpr(index, cell.setBigInt(value));
  registers.writeRip(cell.setBigInt(reset.rip));
  registers.writeRflags(Number(reset.rflags));
  registers.readCr(0, cell);
  const kept = cell.lo & CR0_KEPT;
  registers.writeCr(0, cell.setParts((Number(CR0_RESET) & ~CR0_KEPT) | kept, 0));
  cell.setParts(0, 0);
  registers.writeCr(2, cell);
  registers.writeCr(3, cell);
  registers.writeCr(4, cell);
  registers.writeEfer(cell);
  for (const [index, segment] of reset.segments.entries()) {
    registers.writeSegment(index, { ...segment, base: cell.setBigInt(segment.base) });
  }
  cell.setParts(0, 0);
  for (const table of [Table.Gdtr, Table.Idtr]) registers.writeTable(table, { limit: SEGMENT_LIMIT, base: cell });
}

/** A start-up IPI: real-mode code at vector:0000. The rest is what INIT, or power-on, left. */
export function writeStartupState(registers: GuestRegisters, vector: number): void {
  const base = new U64().setParts(vector << SIPI_BASE_SHIFT, 0);
  const code: SegmentRegister = { selector: vector << SIPI_SELECTOR_SHIFT, attributes: Rights.Code, limit: SEGMENT_LIMIT, base };
  registers.writeSegment(Segment.Cs, code);
  registers.writeRip(new U64());
}

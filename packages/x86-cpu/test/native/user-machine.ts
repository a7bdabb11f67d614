import { createMachineMemory, createProcessor, ExitKind, stateLayout, Stop } from '../../src/index.js';
import type { Processor } from '../../src/index.js';
import { INT3, RECORDED_CODE, RECORDED_DATA, RECORDED_DATA_SIZE } from './recording.js';
import type { RecordedCase, RecordedFault } from './recording.js';

const PAGE = 4096;
const TABLES = 0x1000;
const GDT_GPA = 0x8000;
/** Linear address of the GDT: a supervisor's page. */
const GDT = 0x3000_0000n;
const CODE_GPA = 0x1_0000;
const DATA_GPA = 0x2_0000;
const BREAKPOINT = 3;
const PAGE_FAULT = 14;
/** More than any recorded repetition takes before it faults. */
const MOST_INSTRUCTIONS = 20_000;

/** Linux's GDT from its second entry: 32-bit kernel code, kernel code and data, 32-bit user code, user data, user code. */
const DESCRIPTORS = [0x00cf_9b00_0000_ffffn, 0x00af_9b00_0000_ffffn, 0x00cf_9300_0000_ffffn, 0x00cf_fb00_0000_ffffn, 0x00cf_f300_0000_ffffn, 0x00af_fb00_0000_ffffn];
const GDT_LIMIT = 0x7f;
const USER_CODE = 0x33;
const USER_CODE_32 = 0x23;
const USER_DATA = 0x2b;

const [ES, CS, SS, DS, FS, GS] = [0, 1, 2, 3, 4, 5];
const Present = 1;
const Writable = 2;
const User = 4;

/** A processor in ring 3 as the recorder's process had it: segments, GDT and pages. It intercepts every exception. */
export class UserMachine {
  readonly #memory = createMachineMemory({ contexts: 1, ramBytes: 0x10_0000, permissionTables: 1, hostPages: 0 });
  readonly #processor: Processor = createProcessor(this.#memory, { index: 0, permissionTable: 0, vendor: 'amd', clock: { ticks: () => 0 } });
  readonly #state = new DataView(this.#processor.bytes.buffer, this.#processor.bytes.byteOffset, this.#processor.bytes.byteLength);
  readonly #code = new Uint8Array(PAGE);
  readonly #bits: 32 | 64;

  /** @param bits - width of its code: 32 is compatibility mode. */
  constructor(bits: 32 | 64 = 64) {
    this.#bits = bits;
    this.#mapPages();
    DESCRIPTORS.forEach((descriptor, i) => {
      this.#memory.writeRam32(GDT_GPA + 8 * (i + 1), Number(BigInt.asIntN(32, descriptor)));
      this.#memory.writeRam32(GDT_GPA + 8 * (i + 1) + 4, Number(BigInt.asIntN(32, descriptor >> 32n)));
    });
    this.#processor.intercepts.exceptions = -1;
    this.#processor.interceptsChanged();
  }

  #mapPages(): void {
    const [pml4, pdpt, pd] = [TABLES, TABLES + PAGE, TABLES + 2 * PAGE];
    const all = Present | Writable | User;
    this.#memory.writeRam32(pml4, pdpt | all);
    this.#memory.writeRam32(pdpt, pd | all);
    const map = (linear: bigint, table: number, gpa: number, bits: number, executable: boolean): void => {
      this.#memory.writeRam32(pd + Number(linear >> 21n) * 8, table | all);
      const entry = table + Number((linear >> 12n) & 511n) * 8;
      this.#memory.writeRam32(entry, gpa | bits);
      this.#memory.writeRam32(entry + 4, executable ? 0 : -0x8000_0000);
    };
    const table = (n: number): number => TABLES + (3 + n) * PAGE;
    map(RECORDED_CODE, table(0), CODE_GPA, Present | User, true);
    for (let page = 0; page < 3; page++) {
      map(RECORDED_DATA + BigInt(page * PAGE), table(1), DATA_GPA + page * PAGE, Present | User | (page < 2 ? Writable : 0), false);
    }
    map(GDT, table(2), GDT_GPA, Present, false);
  }

  #write(offset: number, value: bigint): void {
    this.#state.setBigUint64(offset, value, true);
  }

  #segment(number: number, selector: number, attributes: number, base: bigint): void {
    const at = stateLayout.segments + number * stateLayout.segmentSize;
    this.#state.setUint16(at, selector, true);
    this.#state.setUint16(at + 2, attributes, true);
    this.#state.setUint32(at + 4, attributes === 0 ? 0 : 0xffff_ffff, true);
    this.#write(at + 8, base);
  }

  /** Puts a case's registers, code and data into place. */
  prepare(one: RecordedCase, data: Uint8Array): void {
    const { bytes } = this.#processor;
    bytes.fill(0);
    this.#write(stateLayout.cr0, 0x8001_0033n);
    this.#write(stateLayout.cr3, BigInt(TABLES));
    this.#write(stateLayout.cr4, 0x1_0020n);
    this.#write(stateLayout.efer, 0xd01n);
    this.#write(stateLayout.gdtrBase, GDT);
    this.#state.setUint32(stateLayout.gdtrLimit, GDT_LIMIT, true);
    if (this.#bits === 64) this.#segment(CS, USER_CODE, 0xa0fb, 0n);
    else this.#segment(CS, USER_CODE_32, 0xc0fb, 0n);
    this.#segment(SS, USER_DATA, 0xc0f3, 0n);
    for (const segment of [ES, DS]) this.#segment(segment, this.#bits === 64 ? 0 : USER_DATA, this.#bits === 64 ? 0 : 0xc0f3, 0n);
    this.#segment(FS, 0, 0, one.fsBase);
    this.#segment(GS, 0, 0, one.gsBase);
    one.registers.forEach((value, i) => this.#write(stateLayout.gpr + 8 * i, value));
    this.#write(stateLayout.rip, one.rip);
    this.#processor.writeRflags(Number(one.flags));
    const at = Number(one.rip - RECORDED_CODE);
    this.#code.fill(INT3);
    this.#code.set(one.code.subarray(0, PAGE - at), at);
    this.#memory.writeRam(CODE_GPA, this.#code);
    this.#memory.writeRam(DATA_GPA, data);
    this.#processor.stateChanged();
  }

  /** Puts an FXSAVE image into place; after `prepare`. SSE is enabled. */
  prepareVectors(image: Uint8Array): void {
    const view = new DataView(image.buffer, image.byteOffset, image.byteLength);
    const { bytes } = this.#processor;
    this.#write(stateLayout.cr4, 0x1_0620n);
    this.#state.setUint16(stateLayout.x87Control, view.getUint16(0, true), true);
    this.#state.setUint16(stateLayout.x87Status, view.getUint16(2, true), true);
    this.#state.setUint16(stateLayout.x87Tag, image[4]!, true);
    this.#state.setUint32(stateLayout.mxcsr, view.getUint32(24, true), true);
    const top = (view.getUint16(2, true) >> 11) & 7;
    for (let i = 0; i < 8; i++) bytes.set(image.subarray(32 + 16 * i, 48 + 16 * i), stateLayout.x87 + 16 * ((top + i) & 7));
    bytes.set(image.subarray(160, 416), stateLayout.xmm);
    this.#processor.stateChanged();
  }

  /** The same back, into an image. */
  readVectors(image: Uint8Array): void {
    const view = new DataView(image.buffer, image.byteOffset, image.byteLength);
    const { bytes } = this.#processor;
    const status = this.#state.getUint16(stateLayout.x87Status, true);
    view.setUint16(0, this.#state.getUint16(stateLayout.x87Control, true), true);
    view.setUint16(2, status, true);
    image[4] = this.#state.getUint16(stateLayout.x87Tag, true);
    view.setUint32(24, this.#state.getUint32(stateLayout.mxcsr, true), true);
    const top = (status >> 11) & 7;
    for (let i = 0; i < 8; i++) {
      const at = stateLayout.x87 + 16 * ((top + i) & 7);
      image.set(bytes.subarray(at, at + 16), 32 + 16 * i);
    }
    image.set(bytes.subarray(stateLayout.xmm, stateLayout.xmm + 256), 160);
  }

  /** Runs to the INT3 behind the instruction, or where a branch led; what kept it from getting there. */
  run(start: bigint): RecordedFault | undefined {
    const { exit } = this.#processor;
    let stop: Stop;
    do stop = this.#processor.run(MOST_INSTRUCTIONS);
    while (stop === Stop.Costed);
    if (stop !== Stop.Intercept || exit.kind !== ExitKind.Exception) throw new Error(`stop ${stop}, exit ${exit.kind}`);
    const cr2 = exit.vector === PAGE_FAULT ? (BigInt(exit.gvaHi >>> 0) << 32n) | BigInt(exit.gvaLo >>> 0) : 0n;
    const left = this.rip !== start;
    if (left && (exit.vector === BREAKPOINT || (exit.vector === PAGE_FAULT && cr2 === this.rip))) return undefined;
    return { vector: exit.vector, errorCode: exit.hasErrorCode ? exit.errorCode : -1, cr2 };
  }

  readData(): Uint8Array {
    const out = new Uint8Array(RECORDED_DATA_SIZE);
    this.#memory.readRam(DATA_GPA, out);
    return out;
  }

  get registers(): bigint[] {
    return Array.from({ length: 16 }, (_, i) => this.#state.getBigUint64(stateLayout.gpr + 8 * i, true));
  }

  get rip(): bigint {
    return this.#state.getBigUint64(stateLayout.rip, true);
  }

  get flags(): bigint {
    return BigInt(this.#processor.readRflags());
  }

  get selectors(): number[] {
    return [DS, ES, FS, GS].map((segment) => this.#state.getUint16(stateLayout.segments + segment * stateLayout.segmentSize, true));
  }

  get fsBase(): bigint {
    return this.#state.getBigUint64(stateLayout.segments + FS * stateLayout.segmentSize + 8, true);
  }

  get gsBase(): bigint {
    return this.#state.getBigUint64(stateLayout.segments + GS * stateLayout.segmentSize + 8, true);
  }
}

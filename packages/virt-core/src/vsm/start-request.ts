import { U64, hvInitialVpContextLayout, restoreBytes, saveBytes, u64ToBigInt, viewOf } from '@paravisor/hcl-protocol';
import type { View } from '@paravisor/hcl-protocol';
import { Segment, Table } from '../contract/index.js';
import type { GuestRegisters, InitialRegisters } from '../contract/index.js';

type InitialVpContext = View<(typeof hvInitialVpContextLayout)['fields']>;

/** What a start request is for (openvmm `InitialVpContextOperation`). */
export const StartKind = { StartVp: 0, EnableVpVtl: 1 } as const;
export type StartKind = (typeof StartKind)[keyof typeof StartKind];

const CONTEXT_BYTES = hvInitialVpContextLayout.size;
const RSP = 4;
const MSR_PAT = 0x277;
/** Descriptors in the order of `Segment`. */
const segmentNames = ['es', 'cs', 'ss', 'ds', 'fs', 'gs', 'ldtr', 'tr'] as const;

/** A context that waits for its VP: written by the thread of the caller, taken by that of the target. */
export class StartRequest {
  readonly kind: StartKind;
  readonly #bytes: Uint8Array;
  readonly #context: InitialVpContext;

  /** Copies the 224 bytes of `input` at `offset`. */
  constructor(kind: StartKind, input: DataView, offset: number) {
    this.kind = kind;
    this.#bytes = new Uint8Array(CONTEXT_BYTES);
    this.#bytes.set(new Uint8Array(input.buffer, input.byteOffset + offset, CONTEXT_BYTES));
    this.#context = viewOf(hvInitialVpContextLayout, this.#bytes);
  }

  /** The whole start state of a VTL that is entered for the first time. General registers other than RSP stay as they are. */
  toInitialRegisters(registers: GuestRegisters): InitialRegisters {
    const context = this.#context;
    const cell = new U64();
    const gpr = Array.from({ length: 16 }, (_, index) => (registers.readGpr(index, cell), cell.toBigInt()));
    gpr[RSP] = u64ToBigInt(context.rsp);
    return {
      gpr,
      rip: u64ToBigInt(context.rip),
      rflags: u64ToBigInt(context.rflags),
      cr0: u64ToBigInt(context.cr0),
      cr3: u64ToBigInt(context.cr3),
      cr4: u64ToBigInt(context.cr4),
      efer: u64ToBigInt(context.efer),
      pat: u64ToBigInt(context.pat),
      gdtr: { base: u64ToBigInt(context.gdtr.base), limit: context.gdtr.limit },
      idtr: { base: u64ToBigInt(context.idtr.base), limit: context.idtr.limit },
      segments: segmentNames.map((name) => {
        const { selector, attributes, limit, base } = context[name];
        return { selector, attributes, limit, base: u64ToBigInt(base) };
      }),
    };
  }

  /** Gives a VTL that has a state already the context's registers; what the context does not name stays (openvmm `set_x86_vp_context`). */
  writeTo(registers: GuestRegisters): void {
    const context = this.#context;
    const base = new U64();
    registers.writeGpr(RSP, context.rsp);
    registers.writeRip(context.rip);
    registers.writeRflags(context.rflags.lo);
    registers.writeCr(0, context.cr0);
    registers.writeCr(3, context.cr3);
    registers.writeCr(4, context.cr4);
    registers.writeEfer(context.efer);
    for (let index = Segment.Es as number; index <= Segment.Tr; index++) {
      const from = context[segmentNames[index]!];
      registers.writeSegment(index, { selector: from.selector, attributes: from.attributes, limit: from.limit, base: base.set(from.base) });
    }
    registers.writeTable(Table.Gdtr, { limit: context.gdtr.limit, base: base.set(context.gdtr.base) });
    registers.writeTable(Table.Idtr, { limit: context.idtr.limit, base: base.set(context.idtr.base) });
    registers.writeMsr(MSR_PAT, context.pat);
  }

  save(): StartRequestState {
    return { kind: this.kind, context: saveBytes(this.#bytes) };
  }

  static restored({ kind, context }: StartRequestState): StartRequest {
    const bytes = new Uint8Array(CONTEXT_BYTES);
    restoreBytes(bytes, context);
    return new StartRequest(kind as StartKind, new DataView(bytes.buffer), 0);
  }
}

/** `StartRequest` as plain data. */
export type StartRequestState = { readonly kind: number; readonly context: string };

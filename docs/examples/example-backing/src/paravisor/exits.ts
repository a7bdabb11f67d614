/** What user mode does about an exit, by VMX basic exit reason. */
import { CrQualification, Interruptibility, InterruptionInfo, IoQualification, U64, VmxExit } from '@paravisor/hcl-protocol';
import { EmulationStatus, MsrStatus } from '@paravisor/virt-core';
import type { ExitHandlers } from '@paravisor/virt-core';
import { VMX_EXIT_INVD } from '../abi/context.js';
import type { ExampleExit, VtlState } from '../abi/context.js';
import type { PendingEvents } from './events.js';

const Gpr = { Rax: 0, Rcx: 1, Rdx: 2, Rbx: 3 } as const;
const GENERAL_PROTECTION = 13;
const SHADOW = Interruptibility.BlockedBySti | Interruptibility.BlockedByMovSs;

interface ExitsOptions {
  readonly vtl: number;
  readonly exit: ExampleExit;
  readonly state: VtlState;
  readonly events: PendingEvents;
  readonly handlers: ExitHandlers;
}

export class Exits {
  readonly #parts: ExitsOptions;
  readonly #value = new U64();
  readonly #cpuid = new Int32Array(4);

  constructor(parts: ExitsOptions) {
    this.#parts = parts;
  }

  /** Handles the exit in the run page. */
  dispatch(): void {
    const { vtl, exit, handlers } = this.#parts;
    switch (exit.reason) {
      // These only bring the loop round, which looks at what they announce.
      case VmxExit.ExternalInterrupt:
      case VmxExit.InterruptWindow:
      case VmxExit.NmiWindow:
        return;
      case VmxExit.Cpuid:
        return this.#cpuidExit();
      case VmxExit.Hlt:
        this.#advance();
        return handlers.halt(vtl);
      case VmxExit.Vmcall:
        if (handlers.hypercall(vtl)) this.#advance();
        return;
      case VmxExit.CrAccess:
        return this.#writeCr8();
      case VmxExit.Io:
        return this.#io();
      case VmxExit.MsrRead:
        return this.#readMsr();
      case VmxExit.MsrWrite:
        return this.#writeMsr();
      case VmxExit.EptViolation:
        return this.#eptViolation();
      case VmxExit.Wbinvd:
      case VMX_EXIT_INVD:
        // Caches are not modelled.
        return this.#advance();
      case VmxExit.TripleFault:
        return handlers.fatal(vtl, 'triple fault');
      default:
        handlers.fatal(vtl, `VMX exit reason ${exit.reason} is not handled`);
    }
  }

  /** RIP goes over the instruction; the shadow of the one before it ends with it. */
  #advance(): void {
    const { state, exit } = this.#parts;
    state.rip.set(this.#value.set(state.rip).add({ lo: exit.instructionLength, hi: 0 }));
    state.interruptibility &= ~SHADOW;
  }

  #cpuidExit(): void {
    const { vtl, state, handlers } = this.#parts;
    const out = this.#cpuid;
    handlers.cpuid(vtl, state.gpr[Gpr.Rax]!.lo, state.gpr[Gpr.Rcx]!.lo, out);
    for (const [place, register] of [Gpr.Rax, Gpr.Rbx, Gpr.Rcx, Gpr.Rdx].entries()) state.gpr[register]!.setParts(out[place]!, 0);
    this.#advance();
  }

  /** The only access to a control register that exits: MOV to CR8. Reserved bits are #GP (SDM volume 2, MOV to control registers). */
  #writeCr8(): void {
    const { exit, state, events } = this.#parts;
    const { lo, hi } = state.gpr[(exit.qualification >>> CrQualification.RegisterShift) & 0xf]!;
    if ((lo & ~0xf) !== 0 || hi !== 0) return events.injectException(GENERAL_PROTECTION, 0);
    state.cr8.setParts(lo, 0);
    this.#advance();
  }

  #readMsr(): void {
    const { vtl, state, handlers, events } = this.#parts;
    const value = this.#value;
    if (handlers.readMsr(vtl, state.gpr[Gpr.Rcx]!.lo >>> 0, value) !== MsrStatus.Ok) return events.injectException(GENERAL_PROTECTION, 0);
    state.gpr[Gpr.Rax]!.setParts(value.lo, 0);
    state.gpr[Gpr.Rdx]!.setParts(value.hi, 0);
    this.#advance();
  }

  #writeMsr(): void {
    const { vtl, state, handlers, events } = this.#parts;
    const value = this.#value.setParts(state.gpr[Gpr.Rax]!.lo, state.gpr[Gpr.Rdx]!.lo);
    if (handlers.writeMsr(vtl, state.gpr[Gpr.Rcx]!.lo >>> 0, value) !== MsrStatus.Ok) return events.injectException(GENERAL_PROTECTION, 0);
    this.#advance();
  }

  #io(): void {
    const { vtl, exit, state, handlers } = this.#parts;
    const { qualification } = exit;
    if ((qualification & (IoQualification.String | IoQualification.Rep)) !== 0) return this.#emulated(handlers.emulateStringIo(vtl));
    const port = qualification >>> IoQualification.PortShift;
    const size = (qualification & IoQualification.SizeMask) + 1;
    const mask = size === 4 ? -1 : (1 << (8 * size)) - 1;
    const rax = state.gpr[Gpr.Rax]!;
    if ((qualification & IoQualification.In) === 0) handlers.writePort(port, size, (rax.lo & mask) >>> 0);
    // IN of 32 bits zeroes the upper half of RAX, a narrower one leaves the rest.
    else rax.setParts((rax.lo & ~mask) | (handlers.readPort(port, size) & mask), size === 4 ? 0 : rax.hi);
    this.#advance();
  }

  /** An access of an event's delivery belongs to no instruction that could be emulated. */
  #eptViolation(): void {
    const { vtl, exit, handlers } = this.#parts;
    const gpa = this.#value.set(exit.gpa);
    if (exit.idtVectoring & InterruptionInfo.Valid) {
      return handlers.fatal(vtl, `the delivery of vector ${exit.idtVectoring & InterruptionInfo.VectorMask} accessed a device at ${gpa}`);
    }
    this.#emulated(handlers.emulateMmio(vtl, gpa.toNumber()));
  }

  /** The emulator has moved RIP when it was done. */
  #emulated(status: EmulationStatus): void {
    if (status === EmulationStatus.Done) this.#parts.state.interruptibility &= ~SHADOW;
  }
}

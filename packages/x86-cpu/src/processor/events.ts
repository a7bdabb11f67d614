import { EventType, ExitKind, Stop } from '../contract.js';
import { StateOffset } from '../memory/layout.js';
import type { Core, PendingEvent } from './core.js';
import { Dr6, Dr7 } from './debug.js';
import { deliverEvent, makesDoubleFault, vectoringInformation } from './delivery.js';
import { GuestFault, NESTED, Vector } from './fault.js';
import { highHalf, lowHalf } from './registers.js';

/** Not a `Stop`: the run goes on. */
export const GO_ON = -1;

/** Exceptions and other events: delivered to the guest, or handed to the owner who intercepts them. */
export class Events {
  readonly #core: Core;
  /** The event being delivered. */
  readonly #event: PendingEvent = { type: 0, vector: 0, errorCode: -1, length: 0, isTrap: false };
  /** Whether the last delivery was of the event itself, not of what it led to. */
  deliveredItself = false;
  /** The last two events of this run were delivered with no instruction retired between them. */
  stalled = false;
  readonly #left: () => number;
  /** Instructions left when the last event was delivered. */
  #leftAtLast = -1;

  /** `left`: instructions that the run has left. */
  constructor(core: Core, left: () => number) {
    this.#core = core;
    this.#left = left;
  }

  /** A run begins. */
  begin(): void {
    this.stalled = false;
    this.#leftAtLast = -1;
  }

  /** An exception of the instruction at RIP; `isTrap` tells a #DB after an instruction from one before it. */
  except(vector: number, errorCode: number, isTrap = false): number {
    if (this.intercepts(vector)) return this.intercept(vector, errorCode, 0, 0);
    if (vector === Vector.pf) this.#core.registers.setNumber(StateOffset.cr2, this.#core.fault.linear);
    return this.deliver(EventType.Exception, vector, errorCode, 0, isTrap);
  }

  /** A #DB with these bits of DR6, which takes away the old breakpoint bits (SDM volume 3, 18.2.3). */
  debug(bits: number, isTrap: boolean): number {
    this.reportDebug(bits);
    return this.except(Vector.db, -1, isTrap);
  }

  /** Puts what a #DB is about into DR6. */
  reportDebug(bits: number): void {
    const { registers } = this.#core;
    const old = registers.lo(StateOffset.dr6);
    registers.i32[StateOffset.dr6 >> 2] = (old & ~Dr6.hits) | bits;
  }

  intercepts(vector: number): boolean {
    return (this.#core.intercepts.exceptions & (1 << vector)) !== 0;
  }

  intercept(vector: number, errorCode: number, vectoring: number, length: number): number {
    const { exit, fault } = this.#core;
    exit.kind = ExitKind.Exception;
    exit.instructionLength = length;
    exit.vector = vector;
    exit.hasErrorCode = errorCode >= 0 ? 1 : 0;
    exit.errorCode = Math.max(errorCode, 0);
    if (vector === Vector.pf) {
      exit.gvaLo = lowHalf(fault.linear);
      exit.gvaHi = highHalf(fault.linear);
    }
    exit.idtVectoring = vectoring;
    return Stop.Intercept;
  }

  interceptNested(vectoring: number, vectoringErrorCode: number): number {
    const { exit, fault } = this.#core;
    exit.kind = ExitKind.NestedPageFault;
    exit.instructionLength = 0;
    exit.gpa = fault.gpa;
    exit.gvaLo = lowHalf(fault.linear);
    exit.gvaHi = highHalf(fault.linear);
    exit.access = fault.access;
    exit.idtVectoring = vectoring;
    exit.idtVectoringErrorCode = vectoringErrorCode;
    return Stop.Intercept;
  }

  /** Delivers an event, and what its delivery leads to (SDM volume 3, 6.15, interrupt 8). */
  deliver(type: number, vector: number, errorCode: number, length: number, isTrap: boolean): number {
    const event = this.#event;
    const { fault, registers, exit } = this.#core;
    event.type = type;
    event.vector = vector;
    event.errorCode = errorCode;
    event.length = length;
    event.isTrap = isTrap;
    this.deliveredItself = true;
    for (;;) {
      try {
        deliverEvent(this.#core, event);
        if (event.vector === Vector.db) registers.i32[StateOffset.dr7 >> 2]! &= ~Dr7.generalDetect;
        this.#noteDelivery();
        return GO_ON;
      } catch (problem) {
        if (!(problem instanceof GuestFault)) throw problem;
      }
      const vectoring = vectoringInformation(event);
      const vectoringErrorCode = Math.max(event.errorCode, 0);
      if (fault.vector === NESTED) return this.interceptNested(vectoring, vectoringErrorCode);
      if (event.type === EventType.Exception && event.vector === Vector.df) return Stop.Shutdown;
      const double = makesDoubleFault(event, fault.vector);
      const next = double ? Vector.df : fault.vector;
      const nextError = double ? 0 : fault.errorCode;
      exit.idtVectoringErrorCode = vectoringErrorCode;
      if (this.intercepts(next)) return this.intercept(next, nextError, vectoring, 0);
      if (fault.vector === Vector.pf) registers.setNumber(StateOffset.cr2, fault.linear);
      event.type = EventType.Exception;
      event.vector = next;
      event.errorCode = nextError;
      event.length = 0;
      event.isTrap = false;
      this.deliveredItself = false;
    }
  }
  #noteDelivery(): void {
    const left = this.#left();
    if (left === this.#leftAtLast) this.stalled = true;
    this.#leftAtLast = left;
  }
}

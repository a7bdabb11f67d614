import { HvMsr, PAGE_SIZE, SINT_COUNT, STIMER_COUNT, U64, hvMessageLayout, hvTimerMessagePayloadLayout, viewHvMessage, viewOf } from '@paravisor/hcl-protocol';
import { silentTimerObserver } from '../contract/observer.js';
import { PostStatus, Synic } from '../synic/index.js';
import { FlatMemory } from './flat-memory.js';
import { decimal, flag, integer, quantity, replay, replaySteps } from './row.js';
import type { Row, SteppedRecording } from './row.js';

const SIMP_GPA = 0x1000;
const RAM_BYTES = 0x2000;
const LAST_SINT = SINT_COUNT - 1;
const LAST_STIMER = STIMER_COUNT - 1;
const SLOT_BYTES = hvMessageLayout.size;
/** The message of a `post` step: type 0x80000000 with 8 bytes of 0xaa. */
export const postedMessage = new Uint8Array(SLOT_BYTES);
Object.assign(viewHvMessage(postedMessage), { type: 0x80000000, payloadSize: 8 });
postedMessage.fill(0xaa, 16, 24);

const errorNames: Readonly<Record<PostStatus, string | null>> = {
  [PostStatus.Posted]: null,
  [PostStatus.InvalidSynicState]: 'InvalidSynicState',
  [PostStatus.ObjectInUse]: 'ObjectInUse',
};

/** Replays a row of `synic_timer.jsonl`: one VP's SynIC with its message page in guest memory. Null when every field of every step agrees. */
export function replaySynicTimer(row: unknown): string | null {
  return replay(row, (known) => replaySteps(known, new SynicRecording()));
}

class SynicRecording implements SteppedRecording {
  readonly #memory = new FlatMemory(RAM_BYTES);
  #interrupts: [number, boolean][] = [];
  readonly #synic = new Synic({
    vp: 0,
    vtl: 0,
    memory: this.#memory,
    interrupts: { requestSynicInterrupt: (vector, autoEoi) => void this.#interrupts.push([vector, autoEoi]) },
    observer: silentTimerObserver,
  });

  constructor() {
    this.#synic.writeMsr(HvMsr.Simp, U64.of(SIMP_GPA | 1));
  }

  step(op: string, step: Row): Row | null {
    const synic = this.#synic;
    this.#interrupts = [];
    switch (op) {
      case 'sint':
        synic.writeMsr(HvMsr.Sint0 + integer(step, 'n', LAST_SINT), quantity(step, 'v'));
        return {};
      case 'config':
        synic.writeMsr(HvMsr.Stimer0Config + 2 * integer(step, 'n', LAST_STIMER), quantity(step, 'v'));
        return {};
      case 'count':
        synic.writeMsr(HvMsr.Stimer0Count + 2 * integer(step, 'n', LAST_STIMER), quantity(step, 'v'));
        return {};
      case 'count_at':
        synic.writeCountAt(integer(step, 'n', LAST_STIMER), quantity(step, 'v'), quantity(step, 'at'));
        return {};
      case 'scan':
        synic.scan(quantity(step, 'now'));
        return { ready: synic.readySints, next: synic.hasNextDue ? decimal(synic.nextDue) : null, ints: this.#interrupts };
      case 'clear_slot':
        this.#clearSlot(integer(step, 'n', LAST_SINT), flag(step, 'flags'));
        return {};
      case 'want_ready':
        synic.requestSintReadiness(integer(step, 'v', 0xffff));
        return {};
      case 'post': {
        const status = synic.postMessage(integer(step, 'n', LAST_SINT), postedMessage);
        return { ok: status === PostStatus.Posted, err: errorNames[status], ints: this.#interrupts };
      }
      case 'eom':
        synic.writeMsr(HvMsr.Eom, U64.of(0));
        return {};
      default:
        return null;
    }
  }

  state(): Row {
    return synicState(this.#synic, this.#memory.bytes.subarray(SIMP_GPA, SIMP_GPA + PAGE_SIZE));
  }

  #slot(sint: number): Uint8Array {
    return this.#memory.bytes.subarray(SIMP_GPA + sint * SLOT_BYTES, SIMP_GPA + (sint + 1) * SLOT_BYTES);
  }

  /** The guest takes its message. */
  #clearSlot(sint: number, alsoFlags: boolean): void {
    const message = viewHvMessage(this.#slot(sint));
    message.type = 0;
    if (alsoFlags) message.flags = 0;
  }
}

/** A SynIC with its message page, as the recordings have it. */
export function synicState({ sints, timers }: Synic, messagePage: Uint8Array): Row {
  const slots: Record<string, Row> = {};
  for (let sint = 0; sint < SINT_COUNT; sint++) {
    const bytes = messagePage.subarray(sint * SLOT_BYTES, (sint + 1) * SLOT_BYTES);
    if (bytes.every((byte) => byte === 0)) continue;
    const message = viewHvMessage(bytes);
    const payload = viewOf(hvTimerMessagePayloadLayout, message.payload);
    slots[sint] = {
      type: message.type,
      len: message.payloadSize,
      flags: message.flags,
      timer: payload.timerIndex,
      exp: decimal(payload.expirationTime),
      del: decimal(payload.deliveryTime),
    };
  }
  return {
    t: timers.map((timer) => [decimal(timer.config), decimal(timer.count), timer.reevaluate, timer.hasDue ? decimal(timer.due) : null]),
    pend: sints.pending,
    rdy: sints.ready,
    slots,
  };
}

import { hvMessageLayout, restoreBytes, saveBytes, SINT_COUNT } from '@paravisor/hcl-protocol';
import { PostStatus } from '../synic/index.js';
import type { Synic } from '../synic/index.js';

/**
 * Messages the paravisor itself posts to a lower VTL, waiting for their SINT's slot (openvmm `MessageQueues`). Timer messages do not come through
 * here: the SynIC posts them in its scan, or keeps them due.
 */
export class MessageQueues {
  readonly #synic: Synic;
  readonly #waiting: Uint8Array[][] = Array.from({ length: SINT_COUNT }, () => []);
  #sints = 0;

  constructor(synic: Synic) {
    this.#synic = synic;
  }

  /**
   * Queues a 256-byte message for `sint`; the next scan that finds the slot free posts it. True when it is the first of its SINT: the VP is to be woken for
   * it. Throws `RangeError` for another size or a SINT above 15.
   */
  enqueue(sint: number, message: Uint8Array): boolean {
    const queue = this.#waiting[sint];
    if (queue === undefined) throw new RangeError(`SINT ${sint}: there are ${SINT_COUNT}`);
    if (message.length !== hvMessageLayout.size) throw new RangeError(`a message is ${hvMessageLayout.size} bytes, not ${message.length}`);
    queue.push(message.slice());
    this.#sints |= 1 << sint;
    return queue.length === 1;
  }

  /** In the VP's own thread, after a wake-up for messages: those for masked SINTs are dropped, the slots of the others are asked for. */
  prepare(): void {
    for (let sint = 0; sint < SINT_COUNT; sint++) {
      if ((this.#sints & (1 << sint)) === 0 || !this.#synic.sints.isMasked(sint)) continue;
      this.#waiting[sint]!.length = 0;
      this.#sints &= ~(1 << sint);
    }
    this.#synic.requestSintReadiness(this.#sints);
  }

  /** How many messages wait for `sint`. */
  waiting(sint: number): number {
    return this.#waiting[sint]!.length;
  }

  /** Posts the first message of each SINT in `readySints`. A slot that turns out busy keeps its message; one for a SINT that is masked by now is dropped. */
  deliver(readySints: number): void {
    for (let sint = 0; sint < SINT_COUNT; sint++) {
      if ((readySints & this.#sints & (1 << sint)) === 0) continue;
      const queue = this.#waiting[sint]!;
      if (this.#synic.postMessage(sint, queue[0]!) === PostStatus.ObjectInUse) continue;
      queue.shift();
      if (queue.length === 0) this.#sints &= ~(1 << sint);
    }
    if (this.#sints !== 0) this.#synic.requestSintReadiness(this.#sints);
  }

  /** Messages by SINT. Which free slots are asked for is the SynIC's to save. */
  save(): MessageQueuesState {
    return { waiting: this.#waiting.map((queue) => queue.map((message) => saveBytes(message))) };
  }

  restore({ waiting }: MessageQueuesState): void {
    this.#sints = 0;
    for (const [sint, messages] of waiting.entries()) {
      this.#waiting[sint] = messages.map((text) => {
        const message = new Uint8Array(hvMessageLayout.size);
        restoreBytes(message, text);
        return message;
      });
      if (messages.length > 0) this.#sints |= 1 << sint;
    }
  }
}

/** `MessageQueues` as plain data. */
export type MessageQueuesState = { readonly waiting: readonly (readonly string[])[] };

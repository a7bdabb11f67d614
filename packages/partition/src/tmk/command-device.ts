/** The device by which a test microkernel speaks to its host (openvmm `tmk_vmm`, `run.rs`; `tmk_protocol`). */
import { TMK_COMMAND_ADDRESS, TMK_COMMAND_SIZE, TmkCommandTag, tmkCompleteLayout, tmkLogLayout, tmkPanicLayout, u64ToBigInt, u64ToNumber, viewOf } from '@paravisor/hcl-protocol';
import type { GuestMemoryLine, ReadonlyU64, U64 } from '@paravisor/hcl-protocol';
import type { ChipsetDevice } from '../chipset/chipset.js';
import { hex } from '../elf/elf-error.js';
import { decodeUtf8 } from '../text/utf8.js';

/** What the guest's commands mean to the partition. */
export interface TmkCommandSink {
  /** One log line of the guest, as it wrote it. */
  log(line: string): void;
  /** A command that could not be followed: why, in one line. The guest goes on. */
  ignored(why: string): void;
  /** The guest gave up. */
  panic(message: string, file: string, line: number): void;
  complete(success: boolean): void;
}

/** Guest memory as the device reads it. */
export type CommandMemory = Pick<GuestMemoryLine, 'read' | 'ramBytes'>;

/** Texts longer than this are cut, so that a guest cannot fill the host's memory with one command. */
const TEXT_LIMIT = 0x10000;

/**
 * Claims the command address. A write of any width is the guest physical address of a 48-byte command. Nothing a guest writes there can make the
 * device fail: what it cannot follow goes to `TmkCommandSink.ignored`.
 */
export class TmkCommandDevice implements ChipsetDevice {
  readonly first = TMK_COMMAND_ADDRESS;
  readonly last = TMK_COMMAND_ADDRESS;
  readonly #memory: CommandMemory;
  readonly #sink: TmkCommandSink;
  readonly #command = new Uint8Array(TMK_COMMAND_SIZE);
  readonly #log = viewOf(tmkLogLayout, this.#command);
  readonly #panic = viewOf(tmkPanicLayout, this.#command);
  readonly #complete = viewOf(tmkCompleteLayout, this.#command);

  constructor(memory: CommandMemory, sink: TmkCommandSink) {
    this.#memory = memory;
    this.#sink = sink;
  }

  /** Reads all ones, as any address that holds no device. */
  read(_gpa: number, _size: number, _out: U64): void {}

  write(_gpa: number, _size: number, value: ReadonlyU64): void {
    if (!this.#memory.read(u64ToNumber(value), this.#command)) {
      this.#sink.ignored(`TMK command at ${hex(u64ToBigInt(value))} is outside guest memory`);
      return;
    }
    switch (this.#log.tag) {
      case TmkCommandTag.Log:
        return this.#onLog();
      case TmkCommandTag.Panic:
        return this.#onPanic();
      case TmkCommandTag.Complete:
        return this.#onComplete();
      default:
        this.#sink.ignored(`TMK command with tag ${this.#log.tag} is unknown`);
    }
  }

  #onLog(): void {
    const line = this.#text(this.#log.address, this.#log.length);
    if (line !== null) this.#sink.log(line);
    else this.#sink.ignored(`TMK log text ${this.#range(this.#log.address, this.#log.length)} is outside guest memory`);
  }

  #onPanic(): void {
    const panic = this.#panic;
    const message = this.#text(panic.messageAddress, panic.messageLength) ?? `(message ${this.#range(panic.messageAddress, panic.messageLength)} is outside guest memory)`;
    const file = this.#text(panic.fileAddress, panic.fileLength) ?? `(file name ${this.#range(panic.fileAddress, panic.fileLength)} is outside guest memory)`;
    this.#sink.panic(message, file, panic.line);
  }

  #onComplete(): void {
    const { success } = this.#complete;
    if (success > 1) this.#sink.ignored(`TMK completion with ${success} for a boolean`);
    else this.#sink.complete(success === 1);
  }

  /** The guest's text, or null when some of it lies outside RAM. */
  #text(address: ReadonlyU64, length: ReadonlyU64): string | null {
    const at = u64ToNumber(address);
    const size = u64ToNumber(length);
    if (size === 0) return '';
    if (at + size > this.#memory.ramBytes) return null;
    const bytes = new Uint8Array(Math.min(size, TEXT_LIMIT));
    if (!this.#memory.read(at, bytes)) return null;
    return size > TEXT_LIMIT ? `${decodeUtf8(bytes)}… (${size} bytes)` : decodeUtf8(bytes);
  }

  #range(address: ReadonlyU64, length: ReadonlyU64): string {
    return `at ${hex(u64ToBigInt(address))} of ${u64ToBigInt(length)} bytes`;
  }
}

import type { InitialRegisters } from '@paravisor/virt-core';
import { sha256 } from '../state/sha256.js';
import type { LoaderTarget, PartitionLoader } from './loader.js';

/** What a loader put into a partition: kept, so that a saved state can name its guest. */
export class LoadedGuest {
  readonly initialRegisters: InitialRegisters;
  readonly #pieces: { readonly gpa: number; readonly bytes: Uint8Array }[] = [];

  constructor(loader: PartitionLoader, target: LoaderTarget) {
    this.initialRegisters = loader.load({
      ramBytes: target.ramBytes,
      write: (gpa, bytes) => {
        this.#pieces.push({ gpa, bytes });
        target.write(gpa, bytes);
      },
    });
  }

  /** A hash over all pieces, where they went, and the registers. */
  digest(): string {
    const pieces = this.#pieces.map(({ gpa, bytes }) => `${gpa}:${sha256(bytes)}`).join();
    const registers = JSON.stringify(this.initialRegisters, (_key, value: unknown) => (typeof value === 'bigint' ? value.toString() : value));
    return sha256(Uint8Array.from(`${pieces};${registers}`, (character) => character.charCodeAt(0)));
  }
}

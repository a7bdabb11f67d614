/** The workload's lines (packages/tmk-guests/src/workload/workload.h), and the time between them. */
import { performance } from 'node:perf_hooks';

/** The workload's files, by platform. */
export const workloadFile = (platform) => new URL(`../../packages/tmk-guests/workload/${platform}.elf`, import.meta.url);

/** In the order in which the workload runs them. */
export const phaseNames = ['xorshift_crc32', 'sieve', 'sort_chase', 'hash64'];

const LINE_FEED = 10;

/**
 * Hears the workload's bytes and takes the time at each end of a line. `counter`, where there is one, tells how many instructions the guest has retired.
 * `phases`: of each phase its checksum, and of each round the seconds and the instructions (null without a counter).
 */
export class PhaseLines {
  phases = {};
  #line = '';
  #began = null;
  #counter;

  constructor(counter = () => null) {
    this.#counter = counter;
  }

  add(byte) {
    if (byte !== LINE_FEED) {
      this.#line += String.fromCharCode(byte);
      return;
    }
    const [what, name, checksum] = this.#line.split(' ');
    this.#line = '';
    if (what === 'begin') this.#began = { name, instructions: this.#counter(), at: performance.now() };
    else if (what === 'end' && name === this.#began?.name) this.#end(checksum);
    else throw new Error(`the workload said "${[what, name, checksum].join(' ')}"`);
  }

  #end(checksum) {
    const seconds = (performance.now() - this.#began.at) / 1000;
    const instructions = this.#counter();
    const phase = (this.phases[this.#began.name] ??= { checksum, rounds: [] });
    if (phase.checksum !== checksum) throw new Error(`${this.#began.name} gave ${checksum} after ${phase.checksum}`);
    phase.rounds.push({ seconds, instructions: instructions === null ? null : instructions - this.#began.instructions });
  }
}

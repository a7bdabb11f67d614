import { U64 } from '@paravisor/hcl-protocol';
import type { OsClock } from '../time/index.js';

/** An OS clock that stands where a step puts it. */
export class ManualClock implements OsClock {
  readonly time = new U64();

  osTimeNs(out: U64): void {
    out.set(this.time);
  }
}

import { SINT_COUNT, Sint } from '@paravisor/hcl-protocol';
import type { SintState } from './sints.js';

/**
 * Which interrupts the driver may take from the host for this VP, as the run page has it: a bit a vector, set for those that are blocked (openvmm
 * `update_proxy_irr_filter`). Let through are the vectors of SINTs that the host serves and that are not masked; vectors of assigned devices are not
 * modelled.
 */
export function filterProxiedVectors(sints: SintState, blocked: Uint32Array): void {
  blocked.fill(0xffffffff);
  for (let sint = 0; sint < SINT_COUNT; sint++) {
    const vector = sints.registers[sint]!.lo & Sint.VectorMask;
    if (sints.isProxied(sint) && !sints.isMasked(sint)) blocked[vector >>> 5]! &= ~(1 << (vector & 31));
  }
}

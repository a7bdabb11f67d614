/** Processor topology in CPUID: one socket, one thread a core, APIC ID = VP index (Intel SDM volume 2, CPUID leaves 1 and 0BH). */

const LEVEL_SMT = 1;
const LEVEL_CORE = 2;

/** Leaf 1 EDX: EBX 23:16 counts, there being more than one processor in the package. */
const HTT = 1 << 28;

/** Leaf 1 EBX: logical processors 23:16 and initial APIC ID 31:24. */
export function topologyOfLeaf1(vp: number, vpCount: number, out: Int32Array): void {
  if (vpCount > 1) out[3]! |= HTT;
  out[1] = (out[1]! & 0xffff) | (Math.min(vpCount, 255) << 16) | ((vp & 0xff) << 24);
}

/** Leaf 0BH: level types with the shifts that lead to the next level's ID. */
export function topologyLeaf(vp: number, vpCount: number, subleaf: number, out: Int32Array): void {
  out.fill(0);
  out[2] = subleaf & 0xff;
  if (subleaf === 0) {
    out[1] = 1;
    out[2] |= LEVEL_SMT << 8;
  } else if (subleaf === 1) {
    out[0] = vpCount === 1 ? 0 : 32 - Math.clz32(vpCount - 1);
    out[1] = vpCount;
    out[2] |= LEVEL_CORE << 8;
  }
  out[3] = vp;
}

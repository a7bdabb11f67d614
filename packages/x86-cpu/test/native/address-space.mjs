// Where the recorder puts code and data, and what it has code and pointers run into.

export const PAGE = 4096n;
export const CODE = 0x2000_0000n;
export const DATA = 0x1000_0000n;
export const WRITABLE = 2n * PAGE;
/** Where an instruction starts unless its case is about fetching it. */
export const CODE_START = 0x800n;

const DATA_END = DATA + 3n * PAGE;

/** A linear address for an operand of `size` bytes; `kind` 0 is one that every access may use, 1 lies across a seam, 2 probably faults. */
export function pointer(random, size, kind) {
  const inside = DATA + 512n + BigInt(random.below(7000));
  if (kind === 0) return random.once(2) ? inside & ~15n : inside;
  const across = BigInt(random.below(size + 1));
  if (kind === 1) return DATA + PAGE - across;
  return random.pick([
    () => DATA + WRITABLE + BigInt(random.below(4000)),
    () => DATA + WRITABLE - across,
    () => DATA_END - across,
    () => DATA_END + BigInt(random.below(4000)),
    () => DATA - 1n - across,
    () => BigInt(random.below(2048)),
    () => CODE + BigInt(random.below(2000)),
    () => 0x0000_8000_0000_0000n + BigInt(random.below(4096)),
    () => 0xdead_0000_0000_0000n + (random.next64() & 0xffff_ffffn),
  ])();
}

/** A linear address for a branch from the instruction at `from`, `length` bytes long: mostly an INT3 of the code page. */
export function branchTarget(random, from, length) {
  for (;;) {
    const target = random.pick([
      () => CODE + BigInt(random.below(4096)),
      () => CODE + BigInt(random.below(4096)),
      () => CODE + BigInt(random.below(4096)),
      () => CODE + PAGE + BigInt(random.below(4096)),
      () => DATA + BigInt(random.below(4096)),
      () => 0x0000_8000_0000_0000n + BigInt(random.below(4096)),
    ])();
    if (target < from || target >= from + BigInt(length)) return target;
  }
}

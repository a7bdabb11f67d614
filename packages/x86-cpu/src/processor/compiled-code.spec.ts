import { describe, expect, it } from 'vitest';
import { code, CODE, DATA, Guest, Reg, STACK } from '../../test/guest.js';
import { Stop } from '../index.js';

/**
 * What gcc 12 -O2 -mno-sse -fno-pic makes of a quicksort of pseudo-random words that then hashes the result:
 *
 * static void sort(u32 *a, long lo, long hi) {
 *   while (lo < hi) {
 *     u32 p = a[(lo + hi) >> 1]; long i = lo, j = hi;
 *     while (i <= j) { while (a[i] < p) i++; while (a[j] > p) j--; if (i <= j) { u32 t = a[i]; a[i] = a[j]; a[j] = t; i++; j--; } }
 *     if (j - lo < hi - i) { sort(a, lo, j); lo = i; } else { sort(a, i, hi); hi = j; }
 *   }
 * }
 * u64 run(u32 *a, long n) {
 *   u32 x = 2463534242u; for (long i = 0; i < n; i++) { x ^= x << 13; x ^= x >> 17; x ^= x << 5; a[i] = x; }
 *   sort(a, 0, n - 1);
 *   u64 h = 14695981039346656037ul;
 *   for (long i = 0; i < n; i++) { if (i && a[i - 1] > a[i]) return 0; h = (h ^ a[i]) * 1099511628211ul; h += h / ((u32)a[i] % 97 + 3); }
 *   return h;
 * }
 */
const PROGRAM = code(`
  48 39 d6 0f 8d fd 00 00 00 41 56 49 89 fe 41 55 49 89 f5 41 54 49 89 d4 55 53 4b 8d 04 2c 4c 89 e3 4c 89 ed 48 d1 f8 41
  8b 0c 86 0f 1f 44 00 00 48 39 dd 7f 73 48 8d 04 ad 00 00 00 00 4c 8d 0c 9d 00 00 00 00 49 8d 3c 06 4f 8d 04 0e 8b 17 41
  8b 30 49 8d 44 06 04 39 ca 0f 83 81 00 00 00 90 48 89 c7 8b 10 48 83 c0 04 48 83 c5 01 39 ca 72 ef 39 f1 73 1c 4b 8d 44
  0e fc 66 0f 1f 44 00 00 49 89 c0 8b 30 48 83 e8 04 48 83 eb 01 39 f1 72 ef 48 39 eb 7c 9a 89 37 48 83 c5 01 48 83 eb 01
  41 89 10 48 39 dd 7e 8d 48 89 da 4c 89 e0 4c 29 ea 48 29 e8 48 39 c2 7d 3a 4c 89 ee 48 89 da 4c 89 f7 49 89 ed e8 36 ff
  ff ff 4d 39 ec 0f 8f 47 ff ff ff 5b 5d 41 5c 41 5d 41 5e c3 0f 1f 40 00 39 f1 72 91 89 37 48 83 c5 01 48 83 eb 01 41 89
  10 eb b0 4c 89 e2 48 89 ee 4c 89 f7 49 89 dc e8 fc fe ff ff eb c4 c3 66 0f 1f 84 00 00 00 00 00 49 89 fb 48 83 ec 08 48
  8d 7e ff 48 85 f6 0f 8e b3 00 00 00 49 89 f2 4c 89 d9 49 8d 34 b3 b8 a2 8c d6 92 0f 1f 44 00 00 89 c2 48 83 c1 04 c1 e2
  0d 31 d0 89 c2 c1 ea 11 31 c2 89 d0 c1 e0 05 31 d0 89 41 fc 48 39 ce 75 df 48 89 fa 31 f6 4c 89 df e8 9a fe ff ff 31 f6
  48 b8 25 23 22 84 e4 9c f2 cb 48 bf b3 01 00 00 00 01 00 00 eb 0d 66 90 41 8b 4c b3 fc 41 39 0c b3 72 45 41 8b 14 b3 48
  83 c6 01 48 69 ca af 7e d0 51 49 89 d1 48 31 d0 48 0f af c7 48 c1 e9 20 29 ca 49 89 c0 d1 ea 01 ca c1 ea 06 6b d2 61 41
  29 d1 31 d2 41 8d 49 03 48 f7 f1 4c 01 c0 49 39 f2 75 b5 48 83 c4 08 c3 31 c0 48 83 c4 08 c3 48 89 fa 31 f6 4c 89 df e8
  1c fe ff ff 48 83 c4 08 48 b8 25 23 22 84 e4 9c f2 cb c3`.trim().replaceAll(/\s+/g, ' '));

/** Offset of `run` in the program. */
const RUN = 0x110;

/** What the same object file returned on a real processor. */
const RESULT_1000 = 0x91b3f2194b579165n;

function start(guest: Guest): void {
  guest.reset();
  guest.load(PROGRAM).load(code('f4'), CODE + 0x1000);
  guest.quad(STACK - 8, BigInt(CODE + 0x1000));
  guest.setReg(Reg.rsp, BigInt(STACK - 8));
  guest.setReg(Reg.rdi, BigInt(DATA));
  guest.setReg(Reg.rsi, 1000n);
  guest.rip = CODE + RUN;
}

describe('compiled code', () => {
  it('returns what it returns on a real processor, in slices of any length', () => {
    const guest = new Guest();
    const counts = new Set<number>();
    for (const slice of [1 << 30, 10_007, 97]) {
      start(guest);
      const before = guest.processor.retired;
      let stop: Stop;
      do stop = guest.processor.run(slice);
      while (stop === Stop.Budget);
      expect(stop).toBe(Stop.Halted);
      expect(guest.reg(Reg.rax)).toBe(RESULT_1000);
      counts.add(guest.processor.retired - before);
    }
    expect(counts.size).toBe(1);
  });
});

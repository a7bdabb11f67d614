import { describe, expect, it } from 'vitest';
import { I32, I64, Section, Type } from './opcodes.js';
import { compileModule, instantiate } from './platform.js';
import { startModule, WasmWriter, writeSection } from './writer.js';

/** The value of a constant expression, computed by the platform: as [low, high] words through two functions. */
function evaluate(value: number | bigint): number[] {
  const module = startModule();
  writeSection(module, Section.type, (w) => w.u32(1).op(Type.func, 0, 1, Type.i32));
  writeSection(module, Section.function, (w) => w.u32(2).u32(0).u32(0));
  writeSection(module, Section.export, (w) => w.u32(2).name('lo').op(0).u32(0).name('hi').op(0).u32(1));
  writeSection(module, Section.code, (w) => {
    w.u32(2);
    for (const shift of [0, 32]) {
      const body = new WasmWriter().u32(0).i64(value).i64(shift).op(I64.shrU, I32.wrapI64, 0x0b);
      w.u32(body.length).append(body.bytes);
    }
  });
  const exports = instantiate(compileModule(module.bytes), {});
  return ['lo', 'hi'].map((name) => (exports[name] as () => number)());
}

describe('the WebAssembly writer', () => {
  it('encodes constants as the platform reads them (core specification 5.2.2)', () => {
    const values = [0, 1, -1, 63, 64, -64, -65, 127, 128, 0xffffffff, -0x80000000, 2 ** 52, -(2 ** 47), 2n ** 63n - 1n, -(2n ** 63n), 0x0123456789abcdefn];
    for (const value of values) {
      const whole = BigInt(value);
      expect(evaluate(value)).toEqual([Number(BigInt.asIntN(32, whole)), Number(BigInt.asIntN(32, whole >> 32n))]);
    }
  });

  it('encodes unsigned sizes in as few bytes as they need', () => {
    expect([...new WasmWriter().u32(0x7f).u32(0x80).u32(0xffffffff).bytes]).toEqual([0x7f, 0x80, 1, 0xff, 0xff, 0xff, 0xff, 0x0f]);
  });

  it('grows without losing what was written', () => {
    const w = new WasmWriter(4);
    for (let i = 0; i < 1000; i++) w.op(i & 0xff);
    expect(w.length).toBe(1000);
    expect(w.bytes[999]).toBe(999 & 0xff);
  });
});

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createMachineMemory } from '../memory/machine-memory.js';
import { createProcessor } from './create.js';
import { createRegisterImage } from './register-image.js';
import type { ImageField } from './register-image.js';

function rig(fields: readonly ImageField[]) {
  const memory = createMachineMemory({ contexts: 1, ramBytes: 4096, permissionTables: 1, hostPages: 2 });
  const clock = { ticks: () => 0, readable: () => true };
  const processor = createProcessor(memory, { index: 0, permissionTable: 0, vendor: 'amd', clock });
  const page = memory.hostPage(1);
  return { memory, processor, page, image: createRegisterImage(memory, processor, page, fields) };
}

/** Where a processor keeps general registers: any bytes may stand there. */
const GPRS = 128;

/** Fields that share no byte: a permutation of pieces of both sides. */
const layouts = fc.array(fc.record({ bytes: fc.integer({ min: 1, max: 40 }), gap: fc.nat(3), watched: fc.boolean() }), { minLength: 1, maxLength: 8 }).map((pieces) => {
  let image = 0;
  let state = 0;
  const fields: ImageField[] = [];
  for (const { bytes, gap, watched } of pieces) {
    if (state + bytes > GPRS) break;
    fields.push({ image, state, bytes, watched });
    image += bytes + gap;
    state += bytes;
  }
  return fields;
});

const contents = fc.uint8Array({ minLength: 256, maxLength: 256 });

describe('a register image', () => {
  it('loads every field, and nothing beside', () => {
    fc.assert(
      fc.property(layouts, contents, contents, (fields, inImage, inState) => {
        const { processor, page, image } = rig(fields);
        page.set(inImage);
        processor.bytes.set(inState.subarray(0, GPRS));
        const expected = processor.bytes.slice();
        for (const { image: from, state: to, bytes } of fields) expected.set(inImage.subarray(from, from + bytes), to);
        image.load();
        expect([...processor.bytes]).toEqual([...expected]);
        expect([...page.subarray(0, inImage.length)]).toEqual([...inImage]);
      }),
    );
  });

  it('stores every field, and nothing beside', () => {
    fc.assert(
      fc.property(layouts, contents, contents, (fields, inImage, inState) => {
        const { processor, page, image } = rig(fields);
        page.set(inImage);
        processor.bytes.set(inState.subarray(0, GPRS));
        const expected = page.slice();
        for (const { image: to, state: from, bytes } of fields) expected.set(inState.subarray(from, from + bytes), to);
        image.store();
        expect([...page]).toEqual([...expected]);
      }),
    );
  });

  it('tells of a change to a watched field, whichever bit it is, and of no other', () => {
    fc.assert(
      fc.property(layouts, contents, fc.nat(), fc.nat(7), (fields, bytes, at, bit) => {
        const { page, image } = rig(fields);
        page.set(bytes);
        image.load();
        expect(image.load()).toBe(false);
        const changed = at % 256;
        page[changed]! ^= 1 << bit;
        const isWatched = fields.some(({ image: first, bytes: size, watched }) => watched === true && changed >= first && changed < first + size);
        expect(image.load()).toBe(isWatched);
      }),
    );
  });

  it('moves bits to where the other side has them, and back (attributes of a segment in a VMSA, APM volume 2, 15.5.1)', () => {
    const bits = [{ mask: 0x00ffffff, shift: 0 }, { mask: 0x0f000000, shift: 4 }];
    const { processor, page, image } = rig([{ image: 0, state: 0, bytes: 16, watched: true, bits }]);
    const words = new DataView(page.buffer, page.byteOffset);
    const limitAndBase = [0xffffffff, 0x80000001, 0x00007fff];
    for (const [n, word] of [0x0a9b0010, ...limitAndBase].entries()) words.setUint32(4 * n, word, true);
    expect(image.load()).toBe(true);
    expect(Array.from(processor.i32.subarray(0, 4), (word) => word >>> 0)).toEqual([0xa09b0010, ...limitAndBase]);
    expect(image.load()).toBe(false);
    processor.i32[0] = 0xc0931234 | 0;
    processor.i32[3] = 5;
    image.store();
    expect([0, 4, 8, 12].map((at) => words.getUint32(at, true))).toEqual([0x0c931234, 0xffffffff, 0x80000001, 5]);
  });

  it('lies in the memory of its processor, whole', () => {
    const { memory, processor, page } = rig([]);
    expect(() => createRegisterImage(memory, processor, new Uint8Array(4096), [])).toThrow('a register image lies in the memory of its processor');
    expect(() => createRegisterImage(memory, processor, page, [{ image: 4090, state: 0, bytes: 8 }])).toThrow('8 bytes at 4090 of a register image do not fit');
    expect(() => createRegisterImage(memory, processor, page, [{ image: 0, state: processor.bytes.length - 4, bytes: 8 }])).toThrow(RangeError);
    expect(() => createRegisterImage(memory, processor, page, [{ image: 0, state: 0, bytes: 4, bits: [{ mask: 1, shift: 1 }] }])).toThrow('bits move in a field of 16 bytes, not of 4');
  });
});

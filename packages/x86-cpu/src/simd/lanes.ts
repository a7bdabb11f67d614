/** One vector as lanes of every width. */
export interface Lanes {
  readonly u8: Uint8Array;
  readonly i8: Int8Array;
  readonly u16: Uint16Array;
  readonly i16: Int16Array;
  readonly u32: Uint32Array;
  readonly i32: Int32Array;
  readonly f32: Float32Array;
  readonly f64: Float64Array;
  readonly u64: BigUint64Array;
  readonly i64: BigInt64Array;
}

/** 16 bytes in memory as lanes. */
export function lanesOf(buffer: ArrayBufferLike, offset: number): Lanes {
  return {
    u8: new Uint8Array(buffer, offset, 16),
    i8: new Int8Array(buffer, offset, 16),
    u16: new Uint16Array(buffer, offset, 8),
    i16: new Int16Array(buffer, offset, 8),
    u32: new Uint32Array(buffer, offset, 4),
    i32: new Int32Array(buffer, offset, 4),
    f32: new Float32Array(buffer, offset, 4),
    f64: new Float64Array(buffer, offset, 2),
    u64: new BigUint64Array(buffer, offset, 2),
    i64: new BigInt64Array(buffer, offset, 2),
  };
}

export const newLanes = (): Lanes => lanesOf(new ArrayBuffer(16), 0);

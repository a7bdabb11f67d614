/** IEEE 754 arithmetic on bits, for SSE and the x87: any rounding, any flag, exact. */
export { add, compare, divide, multiply, Order, squareRoot } from './arithmetic.js';
export { convert, fromInteger, roundToIntegral, toInteger } from './convert.js';
export { createFloatEnvironment, DOUBLE, EXTENDED, FloatFlag, Rounding, SINGLE } from './format.js';
export type { FloatEnvironment, FloatFormat } from './format.js';
export { FloatClass, indefiniteOf, infinityOf, isNan, pack, quieted, unpack, zeroOf } from './value.js';

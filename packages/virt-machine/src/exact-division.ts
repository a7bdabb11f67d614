/**
 * floor(dividend / divisor) for integers with dividend below 2^53: the rounded quotient can be one too high. For doubles V8 makes a call of every `%`,
 * which takes ten times as long.
 */
export function floorQuotient(dividend: number, divisor: number): number {
  const quotient = Math.floor(dividend / divisor);
  return quotient * divisor > dividend ? quotient - 1 : quotient;
}

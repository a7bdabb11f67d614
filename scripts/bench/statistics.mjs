/** The middle of `values`. */
export function median(values) {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** The geometric mean of `values`. */
export const geomean = (values) => Math.exp(values.reduce((sum, value) => sum + Math.log(value), 0) / values.length);

/** Values in the order in which they were taken, with the least, the middle and the greatest. */
export const spread = (values) => ({ min: Math.min(...values), median: median(values), max: Math.max(...values), values });

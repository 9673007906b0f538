// Success rates of endpoints, and which of them lie far enough below the others.

/** Attempts of one endpoint in one interval. */
export interface Count {
  readonly total: number;
  readonly good: number;
}

/** In percent. */
export const successRate = ({ total, good }: Count): number => (good * 100) / total;

/** Whoever has a lower rate is an outlier: the mean, less so many thousandths of the standard deviation (of the whole, not of a sample). */
export function successThreshold(rates: readonly number[], factor: number): number {
  const mean = rates.reduce((sum, rate) => sum + rate, 0) / rates.length;
  const variance = rates.reduce((sum, rate) => sum + (rate - mean) ** 2, 0) / rates.length;
  return mean - (factor / 1_000) * Math.sqrt(variance);
}

/** Those with enough calls; `undefined`: there are too few of them to compare. */
export function comparable<T>(
  all: readonly T[],
  count: (one: T) => Count,
  { volume, hosts }: { readonly volume: number; readonly hosts: number },
): readonly T[] | undefined {
  const enough = all.filter((one) => count(one).total >= volume);
  return enough.length >= hosts && enough.length > 0 ? enough : undefined;
}

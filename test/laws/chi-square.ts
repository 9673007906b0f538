// Pearson's chi-square test, for distributions that dice make.

/**
 * How far counts are from what was expected, in standard deviations: the statistic's distance from its mean, by Wilson and Hilferty's cube root. Fair
 * dice lie below 4 in all but one of 30,000 runs.
 */
export function chiSquareZ(counts: readonly number[], expected: readonly number[]): number {
  const statistic = counts.reduce((sum, count, index) => sum + (count - (expected[index] ?? 0)) ** 2 / (expected[index] ?? 0), 0);
  const freedom = counts.length - 1;
  return (Math.cbrt(statistic / freedom) - (1 - 2 / (9 * freedom))) / Math.sqrt(2 / (9 * freedom));
}

/** The same for two samples of one unknown distribution, of equal size. */
export function twoSampleZ(one: readonly number[], other: readonly number[]): number {
  const statistic = one.reduce((sum, count, index) => {
    const both = count + (other[index] ?? 0);
    return both === 0 ? sum : sum + (count - (other[index] ?? 0)) ** 2 / both;
  }, 0);
  const freedom = one.filter((count, index) => count + (other[index] ?? 0) > 0).length - 1;
  return (Math.cbrt(statistic / freedom) - (1 - 2 / (9 * freedom))) / Math.sqrt(2 / (9 * freedom));
}

// How calls are shared among priority levels, and which of them are in a panic; pure arithmetic, as Envoy documents it
// (https://www.envoyproxy.io/docs/envoy/latest/intro/arch_overview/upstream/load_balancing/priority and .../panic_threshold).

/** One priority level, the first comes first. Levels are never empty. */
export interface LevelHealth {
  readonly endpoints: number;
  /** How many of them are available. */
  readonly available: number;
}

export interface LevelLoad {
  /** The share of calls that goes to the level, in whole percent; 100 in all. */
  load: number;
  /** So few of its endpoints are available that calls go to all of them. */
  panic: boolean;
}

export interface PriorityRule {
  /** A level takes all its calls until less than 1/factor of it are available. */
  readonly overprovisioningFactor: number;
  /** In percent; 0: never. */
  readonly panicThreshold: number;
}

export function priorityLoads(levels: readonly LevelHealth[], { overprovisioningFactor, panicThreshold }: PriorityRule): LevelLoad[] {
  // whole percents, as Envoy has them; the hair against 0.07 * 100 = 7.000000000000001
  const healths = levels.map(({ endpoints, available }) =>
    Math.min(100, Math.floor((overprovisioningFactor * 100 * available) / endpoints + 1e-9)),
  );
  const total = Math.min(100, sum(healths));
  const isFew = ({ endpoints, available }: LevelHealth): boolean => (100 * available) / endpoints < panicThreshold;
  const panics = levels.map((level) => total < 100 && isFew(level));
  const inTotalPanic = panics.every(Boolean);
  const parts = inTotalPanic ? levels.map(({ endpoints }) => endpoints) : healths;
  const whole = inTotalPanic ? sum(parts) : total;
  const loads = shared(parts, whole);
  return loads.map((load, index) => ({ load, panic: panics[index] === true }));
}

const sum = (numbers: readonly number[]): number => numbers.reduce((all, one) => all + one, 0);

/** Each part in percent of the whole, the first ones first; what rounding leaves over goes to the first that is not nothing. */
function shared(parts: readonly number[], whole: number): number[] {
  let left = 100;
  const loads = parts.map((part) => {
    const load = whole === 0 ? 0 : Math.min(left, Math.round((part * 100) / whole));
    left -= load;
    return load;
  });
  const first = Math.max(
    0,
    loads.findIndex((load) => load > 0),
  );
  return loads.map((load, index) => (index === first ? load + left : load));
}

/** Which level a number from 0 to below 100 falls on. */
export function levelAt(loads: readonly LevelLoad[], point: number): number {
  let end = 0;
  for (let index = 0; index < loads.length; index++) {
    end += loads[index]?.load ?? 0;
    if (point < end) return index;
  }
  return 0;
}

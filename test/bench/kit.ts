// The measuring kit: sides of a comparison take turns round by round in one process, so that what disturbs the machine disturbs all of them.
import { setImmediate as soon } from "node:timers/promises";

/** One line of the table. */
export interface Row {
  readonly figure: string;
  readonly value: string;
  /** What it is measured beside, and how that did in the same run. */
  readonly peer: string;
  readonly target: string;
  /** Absent: for information. */
  readonly ok?: boolean;
}

/** A bench runs in a process of its own, so that none warms or litters another's heap. */
export interface Bench {
  readonly title: string;
  /** What was measured and how, in a sentence or two. */
  readonly how: string;
  run(): Promise<readonly Row[]>;
}

export function quantile(values: readonly number[], q: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? Number.NaN;
}

export const median = (values: readonly number[]): number => quantile(values, 0.5);

/** The median, and between which values the middle half of the rounds lies. */
export function shown(values: readonly number[], digits: number, unit = ""): string {
  const text = (value: number): string => value.toFixed(digits);
  return `${text(median(values))}${unit} (${text(quantile(values, 0.25))}..${text(quantile(values, 0.75))})`;
}

export const ratios = (ours: readonly number[], theirs: readonly number[]): number[] =>
  ours.map((value, round) => value / (theirs[round] ?? Number.NaN));

/** Collects garbage, and lets what was put off run, so that a round pays only for itself. */
export async function settled(): Promise<void> {
  await soon();
  globalThis.gc?.();
  await soon();
}

/**
 * Runs every side once per round, and gives what each measured, by round. The order turns with the rounds, so that no side always comes first; the
 * first `warmUp` rounds are not counted.
 */
export async function interleaved<Side extends string, Measured>(
  sides: Readonly<Record<Side, () => Promise<Measured>>>,
  { rounds, warmUp }: { readonly rounds: number; readonly warmUp: number },
): Promise<Record<Side, Measured[]>> {
  const names = Object.keys(sides) as Side[]; // the cast: a record has no keys but its own
  const measured = Object.fromEntries(names.map((name) => [name, [] as Measured[]])) as Record<Side, Measured[]>; // the cast: one list for each name
  for (let round = -warmUp; round < rounds; round++) {
    for (let turn = 0; turn < names.length; turn++) {
      const name = names[(((round + turn) % names.length) + names.length) % names.length] as Side; // the cast: the index is within the list
      await settled();
      const result = await sides[name]();
      if (round >= 0) measured[name].push(result);
    }
  }
  return measured;
}

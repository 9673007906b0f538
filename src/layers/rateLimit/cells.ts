// Cells: the counts of one target, apart by the value of a header; bounded, whatever callers send.
import type { Cell } from "./cell.ts";

/** How many values of a key header are told apart; further ones share one count until others have been idle. */
const MOST_KEYS = 10_000;

/** How many of the oldest are looked at when room is needed, so that a flood of keys stays cheap. */
const LOOKED_AT = 8;

export interface Cells<C extends Cell> {
  /** For calls that no key tells apart. */
  readonly whole: C;
  readonly byKey: Map<string, C> | undefined;
  readonly make: (key: string) => C;
  readonly isIdle: (cell: C, now: number) => boolean;
}

export const allCells = <C extends Cell>({ whole, byKey }: Cells<C>): readonly C[] => [whole, ...(byKey?.values() ?? [])];

export const waitingIn = (cell: Cell): number => cell.line?.length() ?? 0;

/** The count for a key. */
export function cellFor<C extends Cell>(cells: Cells<C>, key: string | undefined, now: number): C {
  const { whole, byKey, make } = cells;
  if (byKey === undefined || key === undefined) return whole;
  const found = byKey.get(key);
  if (found !== undefined) return found;
  if (byKey.size >= MOST_KEYS) dropIdle(byKey, cells, now);
  if (byKey.size >= MOST_KEYS) return whole;
  const cell = make(key);
  byKey.set(key, cell);
  return cell;
}

function dropIdle<C extends Cell>(byKey: Map<string, C>, { isIdle }: Cells<C>, now: number): void {
  let looked = 0;
  for (const [key, cell] of byKey) {
    byKey.delete(key);
    const kept = !isIdle(cell, now) || waitingIn(cell) > 0 || (cell.pace?.until ?? 0) > now;
    if (kept) byKey.set(key, cell); // the last to be looked at again
    if (++looked >= LOOKED_AT) return;
  }
}

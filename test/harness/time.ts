// Time for tests: it stands still until the test lets it pass.
import type { TestContext } from "node:test";

export interface Time {
  /** Lets so many milliseconds pass, and then all that follows from it without waiting. */
  pass(ms: number): Promise<void>;
  now(): number;
}

/** Some turns of the event loop: promises that wait for nothing else settle. */
export async function turns(count = 5): Promise<void> {
  for (let turn = 0; turn < count; turn++) await new Promise<void>((resolve) => setImmediate(resolve));
}

/** Takes `setTimeout` and `Date` from the clock for one test. */
export function stoppedTime(t: TestContext): Time {
  t.mock.timers.enable({ apis: ["setTimeout", "Date"], now: 1_000_000 });
  return {
    pass: async (ms) => {
      await turns();
      t.mock.timers.tick(ms);
      await turns();
    },
    now: () => Date.now(),
  };
}

/** Where a promise stands, by now. */
export function watch<T>(promise: Promise<T>): { readonly settled: boolean; readonly value: T | undefined; readonly error: unknown } {
  const state: { settled: boolean; value: T | undefined; error: unknown } = { settled: false, value: undefined, error: undefined };
  promise.then(
    (value) => Object.assign(state, { settled: true, value }),
    (error: unknown) => Object.assign(state, { settled: true, error }),
  );
  return state;
}

/** A promise and the hand that settles it. */
export function gate<T = void>(): { readonly promise: Promise<T>; readonly open: (value: T) => void } {
  const { promise, resolve } = Promise.withResolvers<T>();
  return { promise, open: resolve };
}

// Measures for docs/decisions/0007-clock-follows-fake-timers.md: what one look at the clock costs, and that a fake Date moves it.
import { mock } from "node:test";
import { monotonicNow } from "../../../src/call/clock.ts";
import { median, show } from "./measure.ts";

function nanoseconds(look: () => number): number {
  const times: number[] = [];
  let sum = 0;
  for (let round = -2; round < 9; round++) {
    const began = performance.now();
    for (let n = 0; n < 1_000_000; n++) sum += look();
    if (round >= 0) times.push(performance.now() - began);
  }
  return sum === 0 ? Number.NaN : median(times);
}
show(
  "Date.now()",
  nanoseconds(() => Date.now()),
  "ns",
);
show(
  "performance.now()",
  nanoseconds(() => performance.now()),
  "ns",
);
show("premesh's clock", nanoseconds(monotonicNow), "ns");

const before = monotonicNow();
mock.timers.enable({ apis: ["setTimeout", "Date"], now: 0 });
const enabled = monotonicNow();
mock.timers.tick(60_000);
const ticked = monotonicNow();
mock.timers.reset();
const after = monotonicNow();
show("a jump when Date is mocked to 1970: more than 50 ms", Math.abs(enabled - before) > 50);
show("tick(60_000) moves it by", ticked - enabled, "ms");
show("a step back when the mock is taken away", after < ticked);

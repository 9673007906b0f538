// Steps: layers that look at a call as it passes, and at what comes of it. Several in a row are one function, with one promise for all of them: each of its own
// costs 200 bytes and a turn of the microtask queue.
import type { Call, Layer, Next } from "./call.ts";
import type { Outcome } from "./outcome.ts";

/** What a step keeps of a call that it has let pass. */
export interface Passed {
  /** What the step before it has kept; `undefined` until then. */
  outer: Passed | undefined;
  /** The call has come out. A promise: it takes another way first. */
  came(outcome: Outcome<unknown>): Outcome<unknown> | Promise<Outcome<unknown>>;
}

/** Lets a call pass, changed perhaps; or gives what it comes to where it goes another way, with all that is behind. */
export type Pass = (call: Call) => Call | Promise<Outcome<unknown>>;

const makers = new WeakMap<Layer, (next: Next<unknown>) => Pass>();

/** A layer that is a step. `next`: what is behind it, for calls that go another way. */
export function step(make: (next: Next<unknown>) => Pass): Layer {
  const layer: Layer = (next) => together([make(next)], next) as typeof next; // the cast: layers do not know the response of their transport
  makers.set(layer, make);
  return layer;
}

let kept: Passed | undefined;

/** Said by a step while a call passes: it wants to know what comes of it. One step runs right after the other, so that they need no list for that. */
export function keep(passed: Passed): void {
  kept = passed;
}

function takeKept(): Passed | undefined {
  const passed = kept;
  kept = undefined;
  return passed;
}

function together(passes: readonly Pass[], next: Next<unknown>): Next<unknown> {
  return (call) => {
    kept = undefined;
    let passing = call;
    let innermost: Passed | undefined;
    for (let at = 0; at < passes.length; at++) {
      const went = (passes[at] as Pass)(passing); // the cast: the index is within the list
      if (went !== passing) {
        if ("then" in went) return out(innermost, went);
        passing = went;
      }
      const passed = takeKept();
      if (passed === undefined) continue;
      passed.outer = innermost;
      innermost = passed;
    }
    return out(innermost, next(passing));
  };
}

/** What the steps make of what comes out, the innermost first. */
function out(innermost: Passed | undefined, coming: Promise<Outcome<unknown>>): Promise<Outcome<unknown>> {
  return innermost === undefined ? coming : coming.then((outcome) => cameOut(innermost, outcome));
}

function cameOut(innermost: Passed | undefined, first: Outcome<unknown>): Outcome<unknown> | Promise<Outcome<unknown>> {
  let outcome = first;
  for (let passed = innermost; passed !== undefined; passed = passed.outer) {
    const came = passed.came(outcome);
    if (came === outcome) continue;
    if ("then" in came) return out(passed.outer, came);
    outcome = came;
  }
  return outcome;
}

/** The layers as one function, the first outermost, above the step that sends. */
export function compose(layers: readonly Layer[], send: Next<unknown>): Next<unknown> {
  let next = send;
  let passes: Pass[] = [];
  let behind = send;
  for (const layer of layers.toReversed()) {
    const make = makers.get(layer);
    if (make === undefined) {
      next = behind = layer(next);
      passes = [];
    } else {
      passes = [make(next), ...passes];
      next = together(passes, behind);
    }
  }
  return next;
}

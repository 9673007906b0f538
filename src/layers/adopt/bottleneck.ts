// A Bottleneck limiter as an engine.
//
// A job holds its place until the response has ended, as in our own bulkhead. Bottleneck knows no abort: a waiter whose caller is gone leaves at once,
// and does nothing when its turn comes. Where `rejectOnDrop` is off, a dropped job never settles: the call hears of it by the event.
import { whenEnded } from "../../call/end.ts";
import type { BottleneckLimiter } from "./definition.ts";
import type { Engine, Own } from "./engine.ts";

type Job = () => Promise<unknown>;

/** What is used beside {@link BottleneckLimiter}. */
interface Emitter {
  on(event: "dropped", listener: (dropped: { readonly task?: unknown }) => void): unknown;
}

/** What to do when a job is dropped. */
const dropping = new WeakMap<object, () => void>();

/** Limiters that are listened to: once each, since Bottleneck cannot take one listener off. */
const heard = new WeakSet<object>();

/** Stands for the error that a limiter gives where it rejects dropped jobs. */
const dropped = new Error("This job has been dropped by Bottleneck");

export function bottleneckEngine(instance: object): Engine {
  const limiter = instance as BottleneckLimiter & Emitter; // the cast: `adopt` has seen its shape
  if (!heard.has(limiter)) {
    heard.add(limiter);
    limiter.on("dropped", ({ task }) => {
      if (typeof task === "function") dropping.get(task)?.();
    });
  }
  return {
    run: (run, { returned, threw }) => {
      const job: Job = async () => {
        const answer = await run.send();
        if (answer === undefined) return undefined; // nobody waits for it any more
        const { outcome, given } = answer;
        if ("error" in given) throw given.error; // a listener of "failed" may ask for another try
        run.finish(outcome);
        await new Promise<void>((resolve) => whenEnded(outcome.end, () => resolve()));
        return given.value;
      };
      dropping.set(job, () => threw(dropped));
      limiter.schedule(job).then(returned, threw);
    },
    own,
    status: () => ({ counts: { ...limiter.counts() } }),
  };
}

/** By the name of its class: several copies of it may be loaded. */
function own(error: unknown): Own | undefined {
  if (error === dropped) return { how: "limited" };
  if (!(error instanceof Error) || error.constructor.name !== "BottleneckError") return undefined;
  return { how: /timed out/.test(error.message) ? "timeout" : "limited" };
}

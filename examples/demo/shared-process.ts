// One of the processes that share a limit, in the scene `shared`: it makes calls at an even pace and tells when each was let through.
import { createClient, definePolicy, rateLimit } from "../../src/index.ts";
import { redisStore } from "../../src/redis.ts";

export interface Orders {
  readonly url: string;
  readonly rate: number;
  readonly burst: number;
  /** Its own calls, by the second. */
  readonly callsPerSecond: number;
  readonly processes: number;
  readonly forMs: number;
}

/** What a process tells: it is ready; or, in the end, all that happened, by milliseconds since it was told to go. */
export type Word =
  | "ready"
  | { readonly passed: readonly number[]; readonly refused: readonly number[]; readonly events: readonly Happened[] };

export interface Happened {
  readonly at: number;
  readonly what: string;
}

process.once("message", (orders: Orders) => {
  const shared = redisStore(orders.url, { processes: orders.processes });
  const limit = rateLimit({ rate: orders.rate, per: "1s", burst: orders.burst, shared: true, onStoreLoss: "local" });
  const client = createClient({ policies: [definePolicy({ name: "fleet", layers: [limit] })], shared });
  const call = (): Promise<boolean> =>
    client
      .run("fleet", () => undefined)
      .then(
        () => true,
        () => false,
      );
  const tell = (word: Word, done: () => void): void => void process.send?.(word, done);
  process.once("message", () => {
    const began = performance.now();
    const at = (): number => Math.round(performance.now() - began);
    const [passed, refused, events]: [number[], number[], Happened[]] = [[], [], []];
    client.on((event) => {
      if (event.type === "decision" && event.what.startsWith("store-")) events.push({ at: at(), what: event.what });
    });
    let made = 0;
    const timer = setInterval(() => {
      if (at() >= orders.forMs) {
        clearInterval(timer);
        void client.close().then(() => tell({ passed, refused, events }, () => void shared.close().then(() => process.disconnect())));
        return;
      }
      for (; made < (at() * orders.callsPerSecond) / 1_000; made++) void call().then((ok) => (ok ? passed : refused).push(at()));
    }, 5);
  });
  void call().then(() => tell("ready", () => undefined));
});

process.once("disconnect", () => process.exit()); // the demo has ended

// One process of a fleet that shares a limit: makes calls as fast as it is told, and says how many passed; forked by tests and benches.
import { createClient, definePolicy, rateLimit, type RateLimitOptions } from "../../src/index.ts";
import { redisStore } from "../../src/redis.ts";

export interface Task {
  readonly url: string;
  readonly limit: Omit<RateLimitOptions, "shared">;
  /** How many calls it makes every tick. */
  readonly calls: number;
  readonly everyMs: number;
  readonly forMs: number;
}

export interface Count {
  readonly passed: number;
  readonly refused: number;
}

process.once("message", (task: Task) => {
  const shared = redisStore(task.url, { timeout: "10s" });
  const policy = definePolicy({ name: "fleet", layers: [rateLimit({ ...task.limit, shared: true })] });
  const client = createClient({ policies: [policy], shared });
  let [passed, refused, underWay] = [0, 0, 0];
  const one = async (): Promise<void> => {
    underWay++;
    await client
      .run("fleet", () => undefined)
      .then(
        () => passed++,
        () => refused++,
      );
    underWay--;
  };
  void one().then(() => {
    process.send?.("ready");
    process.once("message", () => {
      [passed, refused] = [0, 0];
      const began = performance.now();
      let made = 0;
      const timer = setInterval(() => {
        const ranMs = performance.now() - began;
        if (ranMs < task.forMs) {
          for (; made < (ranMs / task.everyMs) * task.calls; made++) void one(); // as many as are due, since timers come late on a busy machine
          return;
        }
        if (underWay > 0) return;
        clearInterval(timer);
        process.send?.({ passed, refused } satisfies Count, () => {
          void client
            .close()
            .then(() => shared.close())
            .then(() => process.disconnect());
        });
      }, task.everyMs);
    });
  });
});

// Load: so many calls at a time and what they take of CPU and time; each side of a comparison in a process of its own.
//
// No garbage is collected by force between rounds. A full collection while no call is under way throws away optimised code, whose weak references to the
// shapes of calls die with the last of them: in rounds of 2,000 RPCs the bare channel took twice the CPU that it takes in steady state, in recompiling itself
// (`--trace-deopt`: "embedded weak objects cleared"). And two sides in one process make each other's call sites polymorphic. A process that calls all day
// knows neither. The garbage of a side is collected in its own rounds, as long as those are long.
import { fork } from "node:child_process";
import { quantile } from "./kit.ts";

export interface Load {
  /** The name of what is called. */
  readonly what: string;
  readonly calls: number;
  readonly atOnce: number;
}

/** What one round measured. */
export interface Round {
  /** User and system time of the process, garbage collection in threads included. */
  readonly cpuUs: number;
  readonly p99Ms: number;
}

/** A process of its own that measures when asked. */
export interface Side<Asked = Load, Measured = Round> {
  round(asked: Asked): Promise<Measured>;
  close(): void;
}

/** Starts the process of a side: a file that calls {@link serveRounds} or {@link serve}. */
export async function openSide<Asked extends object = Load, Measured = Round>(
  file: URL,
  ...args: readonly string[]
): Promise<Side<Asked, Measured>> {
  const child = fork(file, args, { execArgv: [] });
  let told = Promise.withResolvers<unknown>();
  child.on("message", (message) => told.resolve(message));
  child.once("exit", () => told.reject(new Error("a side of the bench ended")));
  const next = async (): Promise<unknown> => {
    const message = await told.promise;
    told = Promise.withResolvers();
    told.promise.catch(() => undefined); // it ends when nobody asks any more
    return message;
  };
  await next();
  return {
    round: (asked) => {
      child.send(asked);
      return next() as Promise<Measured>; // the cast: what the side sends
    },
    close: () => child.disconnect(),
  };
}

/** In the process of a side: takes loads from the bench. */
export function serveRounds(sends: Readonly<Record<string, () => Promise<unknown>>>): void {
  serve((asked) => {
    const load = asked as Load; // the cast: what the bench sends
    const send = sends[load.what];
    if (send === undefined) throw new Error(`this side has no ${load.what}`);
    return round(send, load);
  });
}

/** In the process of a side: measures what the bench asks for. */
export function serve(measure: (asked: unknown) => Promise<object>): void {
  process.on("message", (asked) => void measure(asked).then((measured) => process.send?.(measured)));
  process.once("disconnect", () => process.exit());
  process.send?.("ready");
}

async function round(send: () => Promise<unknown>, { calls, atOnce }: Load): Promise<Round> {
  const took: number[] = [];
  let left = calls;
  const worker = async (): Promise<void> => {
    while (left-- > 0) {
      const began = performance.now();
      await send();
      took.push(performance.now() - began);
    }
  };
  const before = process.cpuUsage();
  await Promise.all(Array.from({ length: atOnce }, worker));
  const { user, system } = process.cpuUsage(before);
  return { cpuUs: (user + system) / calls, p99Ms: quantile(took, 0.99) };
}

export const cpuOf = (measured: readonly Round[]): number[] => measured.map(({ cpuUs }) => cpuUs);
export const p99Of = (measured: readonly Round[]): number[] => measured.map(({ p99Ms }) => p99Ms);

// Held: a client of HTTP/2 written by hand, and a listener whose exchanges wait for the test.
import type { TestContext } from "node:test";
import type { Exchange, Listener } from "../../src/wire/wire.ts";
import { portOf, type Raw, rawClient } from "./raw-h2.ts";
import { eventually, listenFor, type ManualClock, manualClock } from "./wire.ts";

export interface Held {
  readonly client: Raw;
  /** In the order in which they came. */
  readonly exchanges: readonly Exchange[];
  /** What the receivers of all of them were told: `data`, `end`, `drained`, or the word of a break. */
  readonly told: readonly string[];
  readonly clock: ManualClock;
  readonly listener: Listener;
  /** Settles when there are so many exchanges. */
  readonly arrived: (n: number) => Promise<void>;
}

/** `settings`: the payload of the client's SETTINGS. */
export async function held(t: TestContext, settings?: Uint8Array): Promise<Held> {
  const clock = manualClock();
  const exchanges: Exchange[] = [];
  const told: string[] = [];
  const { address, listener } = await listenFor(
    t,
    (exchange) => {
      exchanges.push(exchange);
      exchange.receive({
        data: () => told.push("data"),
        end: () => told.push("end"),
        broken: ({ why }) => told.push(why),
        drained: () => told.push("drained"),
      });
    },
    { clock },
  );
  const client = await rawClient(t, portOf(address), settings);
  return { client, exchanges, told, clock, listener, arrived: (n) => eventually(() => exchanges.length >= n) };
}

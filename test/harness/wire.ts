// Wire: a listener that passes everything on to one upstream, for one test.
import { setImmediate as turn } from "node:timers/promises";
import type { TestContext } from "node:test";
import type { WireClock } from "../../src/wire/deadlines.ts";
import { listen, type ListenOptions } from "../../src/wire/listen.ts";
import { createUpstreams, type UpstreamsOptions } from "../../src/wire/upstreams.ts";
import type { Exchange, Listener, Upstreams } from "../../src/wire/wire.ts";
import { relayTo } from "./pass-on.ts";

export interface Wired {
  readonly listener: Listener;
  readonly upstreams: Upstreams;
  /** `127.0.0.1:12345`. */
  readonly address: string;
  /** The statuses of what the wire refused by itself. */
  readonly refused: readonly number[];
}

export interface WireOptions {
  readonly address?: string;
  readonly listening?: Partial<ListenOptions>;
  readonly sending?: UpstreamsOptions;
  readonly version?: "1.1" | "2";
  readonly socketPath?: string;
}

/** Listens and passes on; closed after the test. */
export async function wireTo(t: TestContext, origin: URL, options: WireOptions = {}): Promise<Wired> {
  const { address = "127.0.0.1:0", listening, sending, version = "1.1", socketPath } = options;
  const refused: number[] = [];
  const upstreams = createUpstreams(sending);
  const listener = await listen(address, {
    exchange: relayTo(upstreams, { origin, version, socketPath }),
    refused: (status) => refused.push(status),
    ...listening,
  });
  t.after(async () => {
    listener.destroy();
    await upstreams.close();
  });
  return { listener, upstreams, address: listener.address, refused };
}

/** Listens for exchanges that the test answers itself. */
export async function listenFor(
  t: TestContext,
  exchange: (exchange: Exchange) => void,
  options: Partial<ListenOptions> = {},
): Promise<Wired> {
  const refused: number[] = [];
  const upstreams = createUpstreams();
  const listener = await listen("127.0.0.1:0", { exchange, refused: (status) => refused.push(status), ...options });
  t.after(() => listener.destroy());
  return { listener, upstreams, address: listener.address, refused };
}

/** Closed after the test. */
export function upstreamsFor(t: TestContext, options: UpstreamsOptions = {}): Upstreams {
  const upstreams = createUpstreams(options);
  t.after(() => {
    void upstreams.close();
  });
  return upstreams;
}

/** Once a condition holds, turn after turn of the event loop. */
export async function eventually(holds: () => boolean): Promise<void> {
  while (!holds()) await turn();
}

export interface ManualClock extends WireClock {
  /** Lets so many milliseconds pass. */
  pass(ms: number): void;
  /** How many timers are set. */
  waiting(): number;
}

/** Time that stands still until the test lets it pass. */
export function manualClock(): ManualClock {
  let now = 1_000;
  const timers = new Map<object, { readonly due: () => void; readonly at: number }>();
  return {
    now: () => now,
    setTimer(due, ms) {
      const timer = {};
      timers.set(timer, { due, at: now + ms });
      return timer;
    },
    clearTimer: (timer) => void timers.delete(timer as object), // the cast: it is what setTimer gave
    waiting: () => timers.size,
    pass(ms) {
      now += ms;
      for (const [timer, { due, at }] of timers) {
        if (at > now) continue;
        timers.delete(timer);
        due();
      }
    },
  };
}

/** Lets time pass, turn after turn of the event loop, until the promise settles, and does `meanwhile` at every turn. Gives how many milliseconds passed. */
export async function passUntil(clock: ManualClock, promise: Promise<unknown>, meanwhile: () => void = () => undefined): Promise<number> {
  const began = clock.now();
  let settled = false;
  void promise.then(() => (settled = true));
  while (!settled) {
    clock.pass(500);
    meanwhile();
    await turn();
  }
  return clock.now() - began;
}

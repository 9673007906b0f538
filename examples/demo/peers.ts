// The peers of the demo, each failing in its own way, whatever protocol they speak.

/** One request, and what a server can do with it. */
export interface Exchange {
  /** The whole answer, after so many milliseconds. */
  answer(afterMs: number): void;
  /** An error instead, by its HTTP status. */
  refuse(status: number, retryAfterS?: number): void;
  /** Breaks it, before the answer or in the middle of it. */
  reset(when: "before" | "within"): void;
  /** Called once when it is over, however it came to that. */
  onOver(over: () => void): void;
  /** Drops the connection that it came on. */
  drop(): void;
}

export type PeerKind = "errors" | "resets" | "tails" | "overload" | "outage";

export interface Peer {
  readonly take: (exchange: Exchange) => void;
  /** Only `outage`: stops answering, and later drops who still waits, as a hung process does that is killed and started again. */
  readonly setDown?: (down: boolean) => void;
}

/** 15 % of the answers are 503, 2 % are 500. */
function errors(dice: () => number): Peer {
  return {
    take: (exchange) => {
      const rolled = dice();
      if (rolled < 0.15) exchange.refuse(503);
      else if (rolled < 0.17) exchange.refuse(500);
      else exchange.answer(3 + 6 * dice());
    },
  };
}

/** 10 % of the requests are reset before the answer, 1 % in the middle of it. */
function resets(dice: () => number): Peer {
  return {
    take: (exchange) => {
      const rolled = dice();
      if (rolled < 0.1) exchange.reset("before");
      else if (rolled < 0.11) exchange.reset("within");
      else exchange.answer(3 + 6 * dice());
    },
  };
}

/** 2 % are never answered, 6 % late. */
function tails(dice: () => number): Peer {
  return {
    take: (exchange) => {
      const rolled = dice();
      if (rolled >= 0.02) exchange.answer(rolled < 0.08 ? 100 + 150 * dice() : 4 + 8 * dice());
    },
  };
}

export const QUOTA = { rate: 80, burst: 20, workers: 6 } as const;

/** Takes 80 requests a second (429 above that) and has six workers (503 when all are busy); asks to come back in a second. */
function overload(dice: () => number): Peer {
  let tokens: number = QUOTA.burst;
  let seenAt = performance.now();
  let busy = 0;
  return {
    take: (exchange) => {
      const now = performance.now();
      tokens = Math.min(QUOTA.burst, tokens + ((now - seenAt) / 1_000) * QUOTA.rate);
      seenAt = now;
      if (tokens < 1) return exchange.refuse(429, 1);
      tokens--;
      if (busy >= QUOTA.workers) return exchange.refuse(503, 1);
      busy++;
      exchange.onOver(() => busy--);
      return exchange.answer(30 + 30 * dice());
    },
  };
}

/** Healthy, then hung, then restarted. */
function outage(dice: () => number): Peer {
  let down = false;
  const waiting = new Set<Exchange>();
  return {
    take: (exchange) => {
      if (!down) return exchange.answer(4 + 8 * dice());
      waiting.add(exchange);
      exchange.onOver(() => waiting.delete(exchange));
      return undefined;
    },
    setDown: (value) => {
      down = value;
      if (!down) for (const exchange of waiting) exchange.drop();
    },
  };
}

export const peers: { readonly [K in PeerKind]: (dice: () => number) => Peer } = { errors, resets, tails, overload, outage };

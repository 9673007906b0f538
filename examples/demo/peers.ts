// The peers of the demo, each failing in its own way.
import type { RequestListener, ServerResponse } from "node:http";
import type { Socket } from "node:net";

export type PeerKind = "errors" | "resets" | "tails" | "overload" | "outage";

export interface Peer {
  readonly answer: RequestListener;
  /** Only `outage`: stops answering, and later drops who still waits, as a hung process does that is killed and started again. */
  readonly setDown?: (down: boolean) => void;
}

const BODY = "x".repeat(1_024);

function after(ms: number, response: ServerResponse): void {
  setTimeout(() => response.end(BODY), ms);
}

function refuse(status: number, response: ServerResponse, retryAfter?: string): void {
  response.writeHead(status, retryAfter === undefined ? {} : { "retry-after": retryAfter }).end();
}

/** 15 % of the answers are 503, 2 % are 500. */
function errors(dice: () => number): Peer {
  return {
    answer: (_request, response) => {
      const rolled = dice();
      if (rolled < 0.15) refuse(503, response);
      else if (rolled < 0.17) refuse(500, response);
      else after(3 + 6 * dice(), response);
    },
  };
}

/** 10 % of the connections are reset before the answer, 1 % in the middle of it. */
function resets(dice: () => number): Peer {
  return {
    answer: (request, response) => {
      const rolled = dice();
      if (rolled < 0.1) request.socket.resetAndDestroy();
      else if (rolled < 0.11) {
        response.writeHead(200, { "content-length": 2 * BODY.length });
        response.write(BODY, () => setTimeout(() => request.socket.resetAndDestroy(), 5));
      } else after(3 + 6 * dice(), response);
    },
  };
}

/** 2 % are never answered, 6 % late. */
function tails(dice: () => number): Peer {
  return {
    answer: (_request, response) => {
      const rolled = dice();
      if (rolled >= 0.02) after(rolled < 0.08 ? 100 + 150 * dice() : 4 + 8 * dice(), response);
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
    answer: (_request, response) => {
      const now = performance.now();
      tokens = Math.min(QUOTA.burst, tokens + ((now - seenAt) / 1_000) * QUOTA.rate);
      seenAt = now;
      if (tokens < 1) return refuse(429, response, "1");
      tokens--;
      if (busy >= QUOTA.workers) return refuse(503, response, "1");
      busy++;
      response.once("close", () => busy--);
      return after(30 + 30 * dice(), response);
    },
  };
}

/** Healthy, then hung, then restarted. */
function outage(dice: () => number): Peer {
  let down = false;
  const waiting = new Set<Socket>();
  return {
    answer: (request, response) => {
      if (!down) return after(4 + 8 * dice(), response);
      waiting.add(request.socket);
      request.socket.once("close", () => waiting.delete(request.socket));
      return undefined;
    },
    setDown: (value) => {
      down = value;
      if (!down) for (const socket of waiting) socket.destroy();
    },
  };
}

export const peers: { readonly [K in PeerKind]: (dice: () => number) => Peer } = { errors, resets, tails, overload, outage };

// The process in which the peers of one scene run: two of a kind, one for the bare lane and one for the lane under the policy.
import { newDice } from "./dice.ts";
import { type PeerKind, peers } from "./peers.ts";
import { serveGrpc } from "./serve-grpc.ts";
import { serveHttp } from "./serve-http.ts";

/** What the demo tells this process. */
export type Order = "down" | "up" | "count";

/** What it answers: where the peers listen, and later how many requests each has seen. */
export type Answer = { readonly ports: readonly number[] } | { readonly requests: readonly number[] };

export type Protocol = "http" | "grpc";

const [kind, protocol] = process.argv.slice(2) as [PeerKind, Protocol]; // the cast: only the demo starts this process
const listening = { http: serveHttp, grpc: serveGrpc }[protocol];
const requests = [0, 0];
const running = requests.map(() => peers[kind](newDice(1)));

const tell = (answer: Answer): void => void process.send?.(answer);

process.on("SIGINT", () => undefined); // Ctrl-C reaches every process of the terminal; the demo ends this one when it has ended its calls
process.on("disconnect", () => process.exit());
process.on("message", (order: Order) => {
  if (order === "count") return tell({ requests });
  for (const peer of running) peer.setDown?.(order === "down");
  return undefined;
});

const ports = await Promise.all(
  running.map(({ take }, lane) =>
    listening((exchange) => {
      requests[lane] = (requests[lane] ?? 0) + 1;
      take(exchange);
    }),
  ),
);
tell({ ports });

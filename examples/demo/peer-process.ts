// The process in which the peers of one scene run: two of a kind, one for the bare lane and one for the lane under the policy.
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { newDice } from "./dice.ts";
import { type PeerKind, peers } from "./peers.ts";

/** What the demo tells this process. */
export type Order = "down" | "up" | "count";

/** What it answers: where the peers listen, and later how many requests each has seen. */
export type Answer = { readonly ports: readonly number[] } | { readonly requests: readonly number[] };

const kind = process.argv[2] as PeerKind; // the cast: only the demo starts this process
const requests = [0, 0];
const running = requests.map(() => peers[kind](newDice(1)));

function listening(server: Server): Promise<number> {
  return new Promise((resolve) => {
    server.listen(0, "127.0.0.1", () => resolve((server.address() as AddressInfo).port)); // the cast: it listens on TCP
  });
}

const tell = (answer: Answer): void => void process.send?.(answer);

process.on("SIGINT", () => undefined); // Ctrl-C reaches every process of the terminal; the demo ends this one when it has ended its calls
process.on("disconnect", () => process.exit());
process.on("message", (order: Order) => {
  if (order === "count") return tell({ requests });
  for (const peer of running) peer.setDown?.(order === "down");
  return undefined;
});

const ports = await Promise.all(
  running.map(({ answer }, lane) =>
    listening(
      createServer((request, response) => {
        if (request.url === "/warm-up") return void response.end();
        requests[lane] = (requests[lane] ?? 0) + 1;
        return answer(request, response);
      }),
    ),
  ),
);
tell({ ports });

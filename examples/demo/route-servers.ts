// The process in which the servers of the scene `route` run: ten of them for each lane, four of which are ill.
import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { newDice } from "./dice.ts";
import { WARM_UP } from "./load.ts";

/** What is wrong with the first servers of a lane; the others are well. */
export const ILLS = ["slow", "dead", "resets", "flaps"] as const;

export const SERVERS = 10;
export const LANES = 3;

/** What the process tells: where each lane's servers listen, and later how many requests each of them has seen. */
export type Told = { readonly ports: readonly (readonly number[])[] } | { readonly requests: readonly (readonly number[])[] };

const requests = Array.from({ length: LANES }, () => Array.from({ length: SERVERS }, () => 0));

function listenerOf(nth: number, dice: () => number, isDown: () => boolean): RequestListener {
  const ill = ILLS[nth];
  return (request, response) => {
    if (ill === "resets") return void request.socket.resetAndDestroy();
    if (ill === "flaps" && isDown()) return void response.writeHead(503).end();
    return void setTimeout(() => response.end("ok"), ill === "slow" ? 1_000 : 10 + 10 * dice());
  };
}

function listening(server: Server): Promise<number> {
  return new Promise((resolve) => {
    server.listen(0, "127.0.0.1", () => resolve((server.address() as AddressInfo).port)); // the cast: it listens on TCP
  });
}

/** The dead ones: they close when all listen, so that their ports are nobody else's. */
const dead: Server[] = [];

function serve(lane: number, nth: number, began: number): Promise<number> {
  const isDown = (): boolean => Math.floor((performance.now() - began) / 1_500) % 2 === 1;
  const answer = listenerOf(nth, newDice(nth), isDown);
  const counts = requests[lane] ?? [];
  const server = createServer((request, response) => {
    if (request.url === `/${WARM_UP}`) return void response.end();
    counts[nth] = (counts[nth] ?? 0) + 1;
    return answer(request, response);
  });
  if (ILLS[nth] === "dead") dead.push(server);
  return listening(server);
}

if (process.send !== undefined) {
  const tell = (told: Told): void => void process.send?.(told);
  const began = performance.now();
  process.on("SIGINT", () => undefined); // as in peer-process.ts
  process.on("disconnect", () => process.exit());
  process.on("message", () => tell({ requests }));
  const ports = await Promise.all(
    requests.map((_, lane) => Promise.all(Array.from({ length: SERVERS }, (_one, nth) => serve(lane, nth, began)))),
  );
  for (const server of dead) server.close();
  tell({ ports });
}

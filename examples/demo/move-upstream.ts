// The process of the server in the scene `move`: it fails a share of the attempts, the same ones in every run, and counts what comes and which way.
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { newDice } from "./dice.ts";

export type Told = { readonly port: number } | Counted;

/** Since it was asked last. */
export interface Counted {
  readonly requests: number;
  /** Those that came through the shim. */
  readonly byShim: number;
}

/** How many attempts at every fourth call fail. */
const FAILURES = 2;

let [requests, byShim] = [0, 0];
const attempts = new Map<string, number>();

const server = createServer((request, response) => {
  const { url = "", headers } = request;
  requests++;
  if (headers.via !== undefined) byShim++;
  const attempt = (attempts.get(url) ?? 0) + 1;
  attempts.set(url, attempt);
  const number = Number(url.slice(url.lastIndexOf("/") + 1));
  const fails = newDice(number)() < 0.25 && attempt <= FAILURES;
  setTimeout(() => response.writeHead(fails ? 503 : 200).end(fails ? "not now" : `charge ${number}`), 5);
});

if (process.send !== undefined) {
  const tell = (told: Told): void => void process.send?.(told);
  process.on("SIGINT", () => undefined); // as in peer-process.ts
  process.on("disconnect", () => process.exit());
  process.on("message", () => {
    tell({ requests, byShim });
    [requests, byShim] = [0, 0];
    attempts.clear();
  });
  server.listen(0, "127.0.0.1", () => tell({ port: (server.address() as AddressInfo).port })); // the cast: it listens on TCP
}

// Loaded before whatwg-fetch's tests: the page and the server that they expect, with the bare fetch or client.fetch in it.
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { createRequire } from "node:module";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { healthyClient } from "../healthy.ts";

const folder = process.env["SUITE_FOLDER"] ?? "";
const theirs = createRequire(join(folder, "test/test.js"));
const answer = theirs(join(folder, "test/server.js")) as (request: IncomingMessage, response: ServerResponse, next: () => void) => void; // the cast: what it exports

const server = createServer((request, response) => answer(request, response, () => response.writeHead(404).end()));
server.listen(0, "127.0.0.1");
await once(server, "listening");
server.unref();

// the cast: a TCP server has such an address
const page = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
const subject = process.env["SUITE_SUBJECT"] === "premesh" ? healthyClient().fetch : globalThis.fetch;

/** Addresses on a page may be relative; in Node.js there is no page. */
const absolute = <T>(input: T): T | string => (typeof input === "string" && URL.canParse(input, page) ? new URL(input, page).href : input);

class PageRequest extends Request {
  constructor(input: ConstructorParameters<typeof Request>[0], init?: RequestInit) {
    super(absolute(input), init);
  }
}

const names = {
  self: globalThis,
  location: new URL(page),
  assert: (theirs("chai") as { assert: unknown }).assert, // the cast: only handed on
  fetch: (input: string, init?: RequestInit) => subject(absolute(input), init),
  Request: PageRequest,
};
for (const [name, value] of Object.entries(names)) Object.defineProperty(globalThis, name, { value, writable: true, configurable: true });
// the pass over the polyfill is not asked for, but its names must be there
const { Headers, Response } = globalThis;
Object.defineProperty(globalThis, "WHATWGFetch", { value: { fetch: names.fetch, Request: PageRequest, Headers, Response } });

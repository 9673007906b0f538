// Request reader: takes the heads of requests from the bytes of a connection.
import type { Limits } from "../limits.ts";
import type { HeadReader } from "./head-reader.ts";
import { parseRequest, type ParsedRequest, type Refused } from "./heads.ts";
import type { Inbox } from "./inbox.ts";

/** Reads on. A number: it is refused with this status; `undefined`: more must come. `tunnel`: the authority of the CONNECT that it comes through. */
export function readRequest(
  reader: HeadReader,
  bytes: Buffer,
  inbox: Inbox,
  limits: Limits,
  tunnel: string | undefined,
): ParsedRequest | Refused | undefined {
  const state = reader.read(bytes, inbox.at);
  if (state === "more") {
    inbox.used(bytes.length);
    return undefined;
  }
  if (state !== "done") return state === "bad" ? 400 : 431;
  inbox.used(reader.rest);
  // RFC 9112 2.2: one empty line before a request is let by.
  const text = reader.text.charCodeAt(0) === 13 ? reader.text.slice(2) : reader.text;
  return parseRequest(text, limits, tunnel);
}

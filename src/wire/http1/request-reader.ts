// Request reader: takes the heads of requests from the bytes of a connection.
import type { Limits } from "../limits.ts";
import { newFacts } from "./fields.ts";
import { newHeadReader } from "./head-reader.ts";
import { parseRequest, type ParsedRequest, type Refused } from "./heads.ts";
import type { Inbox } from "./inbox.ts";

export interface RequestReader {
  /** A part of a head has come. */
  readonly begun: boolean;
  /** Reads on. A number: it is refused with this status; `undefined`: more must come. `tunnel`: the authority of the CONNECT that it comes through. */
  read(bytes: Buffer, inbox: Inbox, tunnel: string | undefined): ParsedRequest | Refused | undefined;
}

export function newRequestReader(limits: Limits): RequestReader {
  const facts = newFacts();
  const reader = newHeadReader(limits.headBytes);
  return {
    get begun() {
      return reader.begun;
    },
    read(bytes, inbox, tunnel) {
      const state = reader.read(bytes, inbox.at);
      if (state === "more") inbox.used(bytes.length);
      else if (state === "done") {
        inbox.used(reader.rest);
        // RFC 9112 2.2: one empty line before a request is let by.
        const text = reader.text.charCodeAt(0) === 13 ? reader.text.slice(2) : reader.text;
        return parseRequest(text, facts, limits, tunnel);
      } else return state === "bad" ? 400 : 431;
      return undefined;
    },
  };
}

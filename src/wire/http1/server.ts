// Server: reads the requests of one connection, one after the other, and hands each over as an exchange.
import type { Socket } from "node:net";
import type { Counted, Host, Served } from "../serve.ts";
import { NO_FIELDS, type BreakReason } from "../wire.ts";
import { newBodyDecoder } from "./body-decoder.ts";
import { statusLine } from "./encode.ts";
import { Http1Exchange, type Line } from "./exchange.ts";
import { newFacts } from "./fields.ts";
import { newHeadReader } from "./head-reader.ts";
import { newInbox } from "./inbox.ts";
import { parseRequest, type ParsedRequest } from "./heads.ts";
import { newOutgoing } from "./outgoing.ts";
import { newPatience } from "./patience.ts";

type Phase = "head" | "body" | "answer" | "raw" | "discard";

/** Bytes that are read and thrown away from a connection that is about to close, so that its peer sees the answer (RFC 9112 9.6). */
const DISCARDED = 256 * 1024;

const STATUS_OF: Readonly<Partial<Record<BreakReason, number>>> = { protocol: 400, "too-large": 413, slow: 408 };

/** Serves a connection. `first`: bytes that were read from it already. */
export function serveHttp1(socket: Socket, first: Buffer, host: Host, connection: Counted): Served {
  const { limits, deadlines } = host;
  const facts = newFacts();
  const reader = newHeadReader(limits.headBytes);
  const decoder = newBodyDecoder(limits);
  let phase: Phase = "head";
  let current: Http1Exchange | undefined;
  let wanted = false;
  let last = false;
  let rawEnded = false;
  let discarded = 0;
  let length = 0;
  const out = newOutgoing(socket, () => {
    patience.write(false);
    current?.receiver?.drained();
  });

  const patience = newPatience(limits, deadlines, () => {
    if (phase === "discard" || patience.stalled || (phase === "head" && !reader.begun)) breakOff("slow");
    else fail("slow");
  });

  /** Tells the exchange that is under way, and closes the connection. */
  function breakOff(why: BreakReason, cause?: unknown): void {
    const exchange = leave();
    socket.destroy();
    exchange?.receiver?.broken({ why, cause });
  }

  function leave(): Http1Exchange | undefined {
    const exchange = current;
    current = undefined;
    if (exchange !== undefined) host.ended();
    return exchange;
  }

  /** What came is not allowed: answers with a status, where there is room for one, and closes. */
  function fail(why: BreakReason, status = STATUS_OF[why] ?? 400): void {
    const exchange = leave();
    host.refused(status, connection);
    if (exchange?.responded === true) socket.destroy();
    else {
      out.head(`${statusLine(status)}Content-Length: 0\r\nConnection: close\r\n\r\n`, 0);
      linger();
    }
    exchange?.receiver?.broken({ why });
  }

  /** Ends our side, and reads on for a little while. */
  function linger(): void {
    out.end(NO_FIELDS);
    phase = "discard";
    inbox.drop();
    patience.write(false);
    patience.read(limits.lingerMs);
    socket.end();
    inbox.stop(false);
  }

  function step(bytes: Buffer): boolean {
    if (phase === "head") return readHead(bytes);
    if (phase === "discard") {
      discarded += bytes.length;
      if (discarded > DISCARDED) socket.destroy();
      inbox.drop();
      return false;
    }
    if (phase === "answer" || !wanted) return false;
    if (phase === "body") return readBody(bytes);
    current?.receiver?.data(inbox.take());
    return true;
  }

  function readHead(bytes: Buffer): boolean {
    const begun = reader.begun;
    const state = reader.read(bytes, inbox.at);
    if (state === "more") {
      inbox.used(bytes.length);
      if (!begun) patience.read(limits.headMs);
      return false;
    }
    if (state !== "done") {
      fail("protocol", state === "bad" ? 400 : 431);
      return false;
    }
    inbox.used(reader.rest);
    // RFC 9112 2.2: one empty line before a request is let by.
    const text = reader.text.charCodeAt(0) === 13 ? reader.text.slice(2) : reader.text;
    const parsed = parseRequest(text, facts, limits);
    if (typeof parsed === "number") {
      fail("protocol", parsed);
      return false;
    }
    begin(parsed);
    return true;
  }

  function begin(parsed: ParsedRequest): void {
    connection.requests++;
    last = parsed.last;
    patience.read(Infinity);
    phase = parsed.frame === 0 ? "answer" : "body";
    wanted = false;
    length = parsed.frame;
    if (parsed.frame !== 0) decoder.begin(parsed.frame);
    current = new Http1Exchange(line, parsed);
    host.begun();
    host.exchange(current);
  }

  function readBody(bytes: Buffer): boolean {
    decoder.at = inbox.at;
    const state = decoder.read(bytes);
    inbox.used(decoder.at);
    if (state === "chunk") {
      patience.came(decoder.chunk.length);
      const exchange = current;
      exchange?.receiver?.data(decoder.chunk);
      if (decoder.complete && exchange !== undefined && exchange === current) whole();
    } else if (state === "end") whole();
    else if (state !== "more") fail(state === "bad" ? "protocol" : "too-large");
    return state === "chunk" || state === "end";
  }

  /** The request has come whole. */
  function whole(): void {
    const exchange = current;
    phase = "answer";
    patience.read(Infinity);
    if (exchange === undefined) return;
    exchange.complete = true;
    exchange.receiver?.end(decoder.trailers);
  }

  /** Throws away a body that has come along with its head and that nobody wants. Whether that is all of it. */
  function skip(): boolean {
    while (inbox.bytes !== undefined) {
      decoder.at = inbox.at;
      const state = decoder.read(inbox.bytes);
      inbox.used(decoder.at);
      if (state === "chunk" && !decoder.complete) continue;
      if (state !== "end" && state !== "chunk") return false;
      phase = "answer";
      if (current !== undefined) current.complete = true;
      return true;
    }
    return false;
  }

  /** The response is sent whole. */
  function answered(): void {
    if (phase === "raw") {
      socket.end();
      if (rawEnded) leave();
      return;
    }
    const exchange = leave();
    if (exchange?.complete !== true || last || host.draining) linger();
    else {
      phase = "head";
      patience.read(limits.idleMs);
    }
    if (exchange?.complete === false) exchange.receiver?.broken({ why: "cancelled" });
    inbox.run();
  }

  const line: Line = {
    out,
    connection,
    isAt: (exchange) => exchange === current,
    flow(wants) {
      if (wants === wanted) return;
      wanted = wants;
      if (phase === "body") {
        if (wants) patience.body(length);
        else patience.read(Infinity);
      }
      if (wants) queueMicrotask(inbox.run);
      else inbox.run();
    },
    begins() {
      if (phase === "body" && !wanted && current?.receiver === undefined && !skip()) last = true;
      if (host.draining) last = true;
      return last;
    },
    switched() {
      phase = "raw";
      patience.read(Infinity);
      inbox.run();
    },
    answered,
    stalls: () => patience.write(true),
    drop(hard) {
      leave();
      if (hard) socket.resetAndDestroy();
      else socket.destroy();
    },
  };

  /** The client sends no more. */
  function ended(): void {
    if (phase === "raw") {
      if (rawEnded) return;
      rawEnded = true;
      const exchange = current;
      if (socket.writableEnded) leave();
      exchange?.receiver?.end(NO_FIELDS);
    } else if (current !== undefined) breakOff("reset");
    else socket.end();
  }

  const inbox = newInbox(socket, { step, ended, held: () => (phase === "body" || phase === "raw") && !wanted }, first);
  socket.on("error", (cause) => breakOff("reset", cause));
  socket.on("close", () => {
    deadlines.remove(patience);
    breakOff("reset");
  });
  deadlines.add(patience);
  inbox.run();

  return {
    drain() {
      last = true;
      if (current === undefined && phase === "head" && !reader.begun) linger();
    },
  };
}

// Server: reads the requests of one connection, one after the other, and hands each over as an exchange.
import type { Counted, Host, Pipe, Served } from "../serve.ts";
import { NO_FIELDS, type BreakReason } from "../wire.ts";
import { BodyDecoder, skipBody } from "./body-decoder.ts";
import { encodeRefusal } from "./encode.ts";
import { Http1Exchange, type Line } from "./exchange.ts";
import { HeadReader } from "./head-reader.ts";
import { Inbox } from "./inbox.ts";
import { newOutgoing } from "./outgoing.ts";
import { newPatience } from "./patience.ts";
import { readRequest } from "./request-reader.ts";
import { tunnelProtocol, type TunnelProtocol } from "../tunnel.ts";

type Phase = "head" | "body" | "answer" | "sniff" | "raw" | "discard";

const STATUS_OF: Readonly<Partial<Record<BreakReason, number>>> = { protocol: 400, "too-large": 413, slow: 408 };

/** Serves a connection. `first`: bytes that were read from it already; `through`: the authority of the CONNECT that it comes through. */
export function serveHttp1(socket: Pipe, first: Buffer, host: Host, connection: Counted, through?: string): Served {
  const { limits, deadlines } = host;
  const reader = new HeadReader(limits.headBytes);
  const decoder = new BodyDecoder(limits);
  let phase: Phase = "head";
  let current: Http1Exchange | undefined;
  let wanted = false;
  let last = false;
  let rawEnded = false;
  let length = 0;
  /** The authority of the CONNECT that the connection has become a tunnel of. */
  let tunnel = through;
  let opaque: (() => void) | undefined;
  let handed: Served | undefined; // HTTP/2 came through the tunnel
  const out = newOutgoing(socket, () => {
    patience.write(false);
    current?.receiver?.drained();
  });

  const patience = newPatience(limits, deadlines, () => {
    if (phase === "sniff") settle("opaque");
    else if (phase === "head" && !reader.begun && host.draining) linger();
    else if (phase === "discard" || patience.stalled() || (phase === "head" && !reader.begun)) breakOff("slow");
    else fail("slow");
  });

  /** Tells the exchange that is under way, and closes the connection. */
  function breakOff(why: BreakReason, cause?: unknown): void {
    const exchange = leave();
    deadlines.remove(patience);
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
      out.head(encodeRefusal(status, host.refusalFields), 0);
      linger();
    }
    exchange?.receiver?.broken({ why });
  }

  /** Ends our side, and reads on for a little while. */
  function linger(): void {
    out.end(NO_FIELDS);
    phase = "discard";
    patience.write(false);
    patience.read(limits.lingerMs);
    socket.end();
    inbox.discard();
  }

  function step(bytes: Buffer): boolean {
    if (phase === "head") return readHead(bytes);
    if (phase === "sniff") {
      settle(tunnelProtocol(bytes, limits.lineBytes));
      return phase !== "sniff" && phase !== "answer";
    }
    if (phase === "answer" || !wanted) return false;
    if (phase === "body") return readBody(bytes);
    current?.receiver?.data(inbox.take());
    return true;
  }

  function readHead(bytes: Buffer): boolean {
    const begun = reader.begun;
    const parsed = readRequest(reader, bytes, inbox, limits, tunnel);
    if (parsed === undefined && !begun) patience.read(limits.headMs);
    if (typeof parsed === "number") fail("protocol", parsed);
    if (typeof parsed !== "object") return false;
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
    return true;
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

  /** What a tunnel carries is known. */
  function settle(protocol: TunnelProtocol): void {
    if (protocol === "more") return;
    patience.read(Infinity);
    if (protocol === "opaque") {
      phase = "answer";
      opaque?.();
      return;
    }
    tunnel = leave()?.head.authority;
    phase = "head";
    if (protocol === "http1") return;
    deadlines.remove(patience);
    socket.removeListener("error", failed).removeListener("close", closed);
    handed = host.serve(protocol, socket, inbox.release(), connection, tunnel ?? "");
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
      if (phase === "body" && !wanted && current !== undefined && current.receiver === undefined) {
        current.complete = skipBody(decoder, inbox);
        if (current.complete) phase = "answer";
        else last = true;
      }
      if (host.draining) last = true;
      return last;
    },
    sniffs(told) {
      phase = "sniff";
      opaque = told;
      patience.read(limits.sniffMs);
      inbox.run();
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
  function ended(left: boolean): void {
    if (left && phase !== "answer") return;
    if (phase === "raw") {
      if (rawEnded) return;
      rawEnded = true;
      const exchange = current;
      if (socket.writableEnded) leave();
      exchange?.receiver?.end(NO_FIELDS);
    } else if (current !== undefined) breakOff("reset");
    else socket.end();
  }

  /** While an answer is awaited reading goes on, within a bound, to see the client leave. */
  function held(left: number): boolean {
    if (phase === "answer") return left > limits.headBytes;
    return phase !== "sniff" && (left > 0 || ((phase === "body" || phase === "raw") && !wanted));
  }

  const inbox = new Inbox(socket, { step, ended, held }, first);
  const failed = (cause: Error): void => breakOff("reset", cause);
  const closed = (): void => breakOff("reset");
  socket.on("error", failed).on("close", closed);
  deadlines.add(patience);
  inbox.run();

  return {
    drain() {
      handed?.drain();
      // Not closed at once: a request that is on its way would find nobody, and its client could not know whether it was done.
      if (current === undefined && phase === "head" && !reader.begun) patience.read(limits.leaveMs);
    },
  };
}

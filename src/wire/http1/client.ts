// Client: one connection to an upstream, over which requests are sent one after the other.
import type { Socket } from "node:net";
import type { Waiting } from "../deadlines.ts";
import { NO_FIELDS, type BreakReason } from "../wire.ts";
import type { Attempt, Course } from "./attempt.ts";
import { BodyDecoder } from "./body-decoder.ts";
import { encodeRequest } from "./encode.ts";
import { HeadReader } from "./head-reader.ts";
import { Inbox } from "./inbox.ts";
import { parseResponse } from "./heads.ts";
import type { Http1Client, Http1Owner } from "./member.ts";
import { newOutgoing, RAW } from "./outgoing.ts";

type Phase = "idle" | "head" | "body" | "raw" | "closed";

/** Takes over a connection that stands. */
export function newHttp1Client(socket: Socket, owner: Http1Owner): Http1Client {
  const { limits, deadlines } = owner;
  const reader = new HeadReader(limits.headBytes);
  const decoder = new BodyDecoder(limits);
  let phase: Phase = "idle";
  let current: Attempt | undefined;
  /** The request has gone out whole. */
  let sent = true;
  let interims = 0;
  let last = false;
  let keepSeconds: number | undefined;
  let rawEnded = false;
  let reported = false;

  const waiting: Waiting = { dueAt: Infinity, late: () => breakOff("slow") };

  const out = newOutgoing(socket, () => {
    if (!reader.begun) waiting.dueAt = Infinity;
    current?.receiver.drained();
  });

  function goes(): void {
    if (reported) return;
    reported = true;
    owner.gone(client);
  }

  /** Tells the attempt that is under way, and closes the connection. */
  function breakOff(why: BreakReason, cause?: unknown): void {
    const attempt = current;
    current = undefined;
    phase = "closed";
    socket.destroy();
    goes();
    if (attempt === undefined || attempt.over) return;
    attempt.over = true;
    attempt.receiver.broken({ why, cause });
  }

  function step(bytes: Buffer): boolean {
    // What comes while nothing was asked for would be taken for the answer to the next request.
    if (phase === "idle") breakOff("protocol");
    if (phase === "closed") inbox.drop();
    if (inbox.bytes === undefined || current?.wanted !== true) return false;
    if (phase === "head") return readHead(bytes);
    if (phase === "body") return readBody(bytes);
    current.receiver.data(inbox.take());
    return true;
  }

  function readHead(bytes: Buffer): boolean {
    const begun = reader.begun;
    const state = reader.read(bytes, inbox.at);
    if (state === "more") {
      inbox.used(bytes.length);
      if (!begun) waiting.dueAt = deadlines.after(limits.headMs);
      return false;
    }
    waiting.dueAt = Infinity;
    const attempt = current;
    const parsed = state === "done" && attempt !== undefined ? parseResponse(reader.text, attempt.head.method, limits) : undefined;
    if (parsed === undefined || attempt === undefined) {
      breakOff(state === "too-large" ? "too-large" : "protocol");
      return false;
    }
    inbox.used(reader.rest);
    const { head, frame } = parsed;
    const connects = attempt.head.method === "CONNECT" && head.status >= 200 && head.status < 300;
    if (head.status === 101 || connects) {
      if (!connects && attempt.head.upgrade === undefined) breakOff("protocol");
      else {
        switchOver(attempt);
        attempt.receiver.head(head, false);
      }
      return true;
    }
    if (head.status < 200) {
      if (++interims > limits.interims) breakOff("too-large");
      else if (head.status !== 100) attempt.receiver.inform(head);
      return true;
    }
    last = parsed.last || !sent;
    keepSeconds = parsed.keepSeconds;
    if (frame === 0) {
      attempt.over = true;
      finish();
      attempt.receiver.head(head, true);
      return true;
    }
    decoder.begin(frame);
    phase = "body";
    attempt.receiver.head(head, false);
    return true;
  }

  /** What follows are bytes of another protocol. */
  function switchOver(attempt: Attempt): void {
    phase = "raw";
    sent = attempt.ended = false;
    out.head("", RAW);
    goes();
  }

  function readBody(bytes: Buffer): boolean {
    decoder.at = inbox.at;
    const state = decoder.read(bytes);
    inbox.used(decoder.at);
    if (state === "chunk") {
      const complete = decoder.complete;
      current?.receiver.data(decoder.chunk);
      if (complete && current !== undefined) whole();
    } else if (state === "end") whole();
    else if (state !== "more") breakOff(state === "bad" ? "protocol" : "too-large");
    return state === "chunk" || state === "end";
  }

  /** The response has come whole. */
  function whole(): void {
    const attempt = current;
    finish();
    if (attempt === undefined || attempt.over) return;
    attempt.over = true;
    attempt.receiver.end(decoder.trailers);
  }

  /** The connection is free for the next request, or it ends. */
  function finish(): void {
    current = undefined;
    const keepMs = keepSeconds === undefined ? limits.keepMs : Math.min(keepSeconds * 1_000 - 1_000, limits.keepMs * 15);
    // Bytes behind the response, and a request that is not sent whole: neither is for the next one.
    if (last || !sent || inbox.bytes !== undefined || inbox.over || keepMs <= 0) {
      phase = "closed";
      inbox.drop();
      socket.destroy();
      goes();
      return;
    }
    free(keepMs);
  }

  /** The upstream sends no more. */
  function ended(left: boolean): void {
    if (left) return;
    if (phase === "raw") {
      if (rawEnded) return;
      rawEnded = true;
      const attempt = current;
      if (sent) leaveRaw();
      attempt?.receiver.end(NO_FIELDS);
    } else if (phase === "body" && decoder.endsWithConnection) whole();
    else breakOff("reset");
  }

  /** Both sides of the other protocol have ended. */
  function leaveRaw(): void {
    if (current !== undefined) current.over = true;
    current = undefined;
  }

  const course: Course = {
    write(chunk) {
      const more = out.write(chunk);
      if (more === undefined) breakOff("protocol");
      else if (!more) waiting.dueAt = deadlines.after(limits.stallMs);
      return more ?? true;
    },
    end(trailers) {
      if (sent) return;
      if (!out.end(trailers)) return breakOff("protocol");
      sent = true;
      if (phase !== "raw") return;
      socket.end();
      if (rawEnded) leaveRaw();
    },
    flow(wanted) {
      if (wanted) inbox.run();
      else inbox.stop(true);
    },
    drop: () => breakOff("cancelled"),
  };

  function free(keepMs = limits.keepMs): void {
    current = undefined;
    phase = "idle";
    waiting.dueAt = deadlines.after(keepMs);
    owner.idle(client);
  }

  const client: Http1Client = {
    send(attempt) {
      const encoded = encodeRequest(attempt.head, attempt.ended);
      if (encoded === undefined) {
        attempt.over = true;
        free();
        attempt.receiver.broken({ why: "protocol", cause: new TypeError("The head of the request cannot be written in HTTP/1.1") });
        return;
      }
      waiting.dueAt = Infinity;
      current = attempt;
      phase = "head";
      interims = 0;
      sent = attempt.ended;
      attempt.receiver.connected();
      if (attempt.over) return free(); // it was given up at this moment
      out.head(encoded.text, encoded.frame);
      if (attempt.ended) out.end(NO_FIELDS);
      attempt.takenBy(course);
      inbox.stop(!attempt.wanted);
    },
    tunnel(attempt) {
      current = attempt;
      switchOver(attempt);
      attempt.receiver.connected();
      if (attempt.over) return breakOff("cancelled");
      attempt.takenBy(course);
      attempt.receiver.head({ status: 200, fields: NO_FIELDS }, false);
      inbox.stop(!attempt.wanted);
    },
    close() {
      if (phase === "idle") breakOff("cancelled");
    },
  };

  const inbox = new Inbox(socket, { step, ended, held: (left) => left > 0 || (current !== undefined && !current.wanted) });
  socket.on("error", (cause) => breakOff("reset", cause));
  socket.on("close", () => {
    deadlines.remove(waiting);
    breakOff("reset");
  });
  deadlines.add(waiting);
  return client;
}

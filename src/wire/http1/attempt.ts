// Attempt: one request that is sent over HTTP/1.1; it waits for a connection, and is the way to its body from then on.
import { NO_FIELDS, type BreakReason, type Fields, type RequestHead, type ResponseReceiver, type Stream } from "../wire.ts";

/** The connection, as the attempt that is under way on it sees it. */
export interface Course {
  /** Sends a part of the body. */
  write(chunk: Uint8Array): boolean;
  end(trailers: Fields): void;
  flow(wanted: boolean): void;
  drop(): void;
}

/** A class, since one is made for each request: its methods are no objects of their own then. */
export class Attempt implements Stream {
  readonly head: RequestHead;
  /** No body is to come from the caller. After a switch of protocols bytes come all the same. */
  ended: boolean;
  readonly receiver: ResponseReceiver;
  /** Nothing more is told, and nothing more is taken. */
  over = false;
  /** Whether the response is wanted now. */
  wanted = true;
  /** What to do when it is given up before a connection has taken it. */
  leave: (() => void) | undefined;
  #course: Course | undefined;
  /** What is written before there is a connection. */
  #early: Uint8Array[] | undefined;
  #earlyEnd: Fields | undefined;

  constructor(head: RequestHead, ended: boolean, receiver: ResponseReceiver) {
    this.head = head;
    this.ended = ended;
    this.receiver = receiver;
  }

  /** A connection has taken it, and has sent the head. */
  takenBy(course: Course): void {
    this.#course = course;
    this.leave = undefined;
    const early = this.#early;
    this.#early = undefined;
    let more = true;
    for (const chunk of early ?? []) more = course.write(chunk);
    if (this.#earlyEnd !== undefined) course.end(this.#earlyEnd);
    else if (early !== undefined && more) this.receiver.drained();
  }

  write(chunk: Uint8Array): boolean {
    if (this.over || this.ended) return true;
    if (this.#course !== undefined) return this.#course.write(chunk);
    (this.#early ??= []).push(chunk);
    return false;
  }

  end(trailers: Fields = NO_FIELDS): void {
    if (this.over || this.ended) return;
    if (this.#course === undefined) this.#earlyEnd = trailers;
    else this.#course.end(trailers);
  }

  reset(_why: BreakReason): void {
    if (this.over) return;
    this.over = true;
    this.leave?.();
    this.#course?.drop();
  }

  pause(): void {
    this.wanted = false;
    if (!this.over) this.#course?.flow(false);
  }

  resume(): void {
    this.wanted = true;
    if (!this.over) this.#course?.flow(true);
  }
}

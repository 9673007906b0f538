// Inbox: the bytes that have come over a connection and are not used yet, and the brake on its socket.
import type { Socket } from "node:net";

/** Who uses the bytes. */
export interface Reader {
  /** Uses some of the bytes, from {@link Inbox.at} on. False: nothing can be done with them for now. */
  step(bytes: Buffer): boolean;
  /** Whether nothing more should come, even when all that has come is used. */
  held(): boolean;
  /** The peer sends no more, and all that came is used. May be said again. */
  ended(): void;
}

export interface Inbox {
  /** What is not used yet begins at `at`. */
  readonly bytes: Buffer | undefined;
  readonly at: number;
  /** The peer has ended its side. */
  readonly over: boolean;
  used(upTo: number): void;
  /** Gives away all that is there. */
  take(): Uint8Array;
  drop(): void;
  /** Goes on with what has come, as far as it can be used, and sets the brake. */
  readonly run: () => void;
  /** Sets the brake or loosens it. */
  stop(stopping: boolean): void;
}

export function newInbox(socket: Socket, reader: Reader, first?: Buffer): Inbox {
  let bytes: Buffer | undefined = first;
  let at = 0;
  let over = false;
  let running = false;
  let stopped = false;

  function run(): void {
    if (running) return;
    running = true;
    while (bytes !== undefined && reader.step(bytes));
    running = false;
    inbox.stop(bytes !== undefined || reader.held());
    if (over && bytes === undefined) reader.ended();
  }

  const inbox: Inbox = {
    get bytes() {
      return bytes;
    },
    get at() {
      return at;
    },
    get over() {
      return over;
    },
    used(upTo) {
      at = upTo;
      if (bytes !== undefined && at >= bytes.length) inbox.drop();
    },
    take() {
      const all = bytes === undefined ? new Uint8Array() : at === 0 ? bytes : bytes.subarray(at);
      inbox.drop();
      return all;
    },
    drop() {
      bytes = undefined;
      at = 0;
    },
    run,
    stop(stopping) {
      if (stopping === stopped || socket.destroyed) return;
      stopped = stopping;
      if (stopping) socket.pause();
      else socket.resume();
    },
  };

  socket.on("data", (chunk: Buffer) => {
    bytes = bytes === undefined ? chunk : Buffer.concat([bytes.subarray(at), chunk]);
    at = 0;
    run();
  });
  socket.on("end", () => {
    over = true;
    if (bytes === undefined) reader.ended();
  });
  return inbox;
}

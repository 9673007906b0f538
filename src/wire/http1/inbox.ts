// Inbox: the bytes that have come over a connection and are not used yet, and the brake on its socket.
import type { Socket } from "node:net";

/** Who uses the bytes. */
export interface Reader {
  /** Uses some of the bytes, from {@link Inbox.at} on. False: nothing can be done with them for now. */
  step(bytes: Buffer): boolean;
  /** Whether nothing more should come. `left`: how many bytes have come and are not used. */
  held(left: number): boolean;
  /** The peer sends no more. Said again whenever some of what is `left` is used. */
  ended(left: boolean): void;
}

export interface Inbox {
  /** What is not used yet begins at `at`. */
  readonly bytes: Buffer | undefined;
  readonly at: number;
  /** The peer has ended its side. */
  readonly over: boolean;
  used(upTo: number): void;
  /** Gives away all that is there. */
  take(): Buffer;
  drop(): void;
  /** Goes on with what has come, as far as it can be used, and sets the brake. */
  readonly run: () => void;
  /** Sets the brake or loosens it. */
  stop(stopping: boolean): void;
  /** From now on throws away what comes: so that the peer of a connection that is about to close sees the answer (RFC 9112 9.6). Within a bound. */
  discard(): void;
  /** Lets go of the socket. Gives what is not used yet. */
  release(): Buffer;
}

const DISCARDED = 256 * 1024;

export function newInbox(socket: Socket, reader: Reader, first?: Buffer): Inbox {
  let bytes: Buffer | undefined = first;
  let at = 0;
  let over = false;
  let running = false;
  let stopped = false;
  let discarded = -1;

  function run(): void {
    if (running) return;
    running = true;
    while (bytes !== undefined && discarded < 0 && reader.step(bytes));
    running = false;
    if (discarded >= 0) trash();
    else inbox.stop(reader.held(bytes === undefined ? 0 : bytes.length - at));
    if (over) reader.ended(bytes !== undefined);
  }

  function trash(): void {
    discarded += bytes?.length ?? 0;
    inbox.drop();
    if (discarded > DISCARDED) socket.destroy();
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
      const all = bytes === undefined ? Buffer.alloc(0) : at === 0 ? bytes : bytes.subarray(at);
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
    discard() {
      discarded = 0;
      trash();
      inbox.stop(false);
    },
    release() {
      socket.removeListener("data", read).removeListener("end", end);
      return inbox.take();
    },
  };

  const read = (chunk: Buffer): void => {
    bytes = bytes === undefined ? chunk : Buffer.concat([bytes.subarray(at), chunk]);
    at = 0;
    run();
  };
  const end = (): void => {
    over = true;
    reader.ended(bytes !== undefined);
  };
  socket.on("data", read).on("end", end);
  return inbox;
}

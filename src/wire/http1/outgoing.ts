// Outgoing: writes the messages of one connection, each with its frame, in as few writes as it can.
import type { Duplex } from "node:stream";
import { NO_FIELDS, type Fields } from "../wire.ts";
import { encodeTrailers } from "./encode.ts";
import { CHUNKED, TO_END, type Frame } from "./frame.ts";

/** What follows are bytes of another protocol. */
export const RAW: Frame = -6;

export interface Outgoing {
  /** Takes a head. It leaves with the first bytes of the body, with the end, or else when the present task is over. */
  head(text: string, frame: Frame): void;
  /** False: no more should come until it has drained. `undefined`: it is more than the head has told. */
  write(chunk: Uint8Array): boolean | undefined;
  /** False: it is less than the head has told. */
  end(trailers: Fields): boolean;
}

/** Chunks up to this size are copied behind the head or into their frame: one write costs more than the copy. */
const SMALL = 16 * 1024;

/** `drained`: the socket has taken what it had not, after a `write` that gave false. */
export function newOutgoing(socket: Duplex, drained: () => void): Outgoing {
  let pending = "";
  let scheduled = false;
  let frame: Frame = 0;
  let left = 0;
  let full = false;

  function flush(): void {
    scheduled = false;
    if (pending === "" || socket.destroyed) return;
    const text = pending;
    pending = "";
    full = !socket.write(text, "latin1");
  }

  function send(before: string, chunk: Uint8Array, behind: string): boolean {
    const lead = pending + before;
    pending = "";
    if (chunk.length > SMALL) {
      socket.cork();
      if (lead !== "") socket.write(lead, "latin1");
      full = !socket.write(chunk);
      if (behind !== "") full = !socket.write(behind, "latin1");
      socket.uncork();
    } else if (lead === "" && behind === "") full = !socket.write(chunk);
    else {
      const all = Buffer.allocUnsafe(lead.length + chunk.length + behind.length);
      all.write(lead, 0, "latin1");
      all.set(chunk, lead.length);
      all.write(behind, lead.length + chunk.length, "latin1");
      full = !socket.write(all);
    }
    return !full;
  }

  socket.on("drain", () => {
    full = false;
    drained();
  });
  return {
    head(text, ofBody) {
      pending += text;
      frame = ofBody;
      left = Math.max(0, ofBody);
      if (scheduled) return;
      scheduled = true;
      queueMicrotask(flush);
    },
    write(chunk) {
      if (socket.destroyed || chunk.length === 0) return !full;
      if (frame === CHUNKED) return send(`${chunk.length.toString(16)}\r\n`, chunk, "\r\n");
      if (frame === RAW || frame === TO_END) return send("", chunk, "");
      left -= chunk.length;
      return left < 0 ? undefined : send("", chunk, "");
    },
    end(trailers = NO_FIELDS) {
      if (frame === CHUNKED) pending += encodeTrailers(trailers);
      if (pending !== "") flush();
      const whole = frame < 0 || left === 0;
      frame = left = 0; // what ends twice, as at the close of the connection, has its mark once
      return whole;
    },
  };
}

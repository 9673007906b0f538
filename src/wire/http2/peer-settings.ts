// Peer settings: what the other end of a connection has said of itself (RFC 9113, 6.5.2).
import { FLOW_CONTROL_ERROR, NO_ERROR, PROTOCOL_ERROR } from "./codes.ts";
import {
  ENABLE_CONNECT_PROTOCOL,
  ENABLE_PUSH,
  FIRST_WINDOW,
  FRAME_BYTES,
  HEADER_TABLE_SIZE,
  INITIAL_WINDOW_SIZE,
  MAX_CONCURRENT_STREAMS,
  MAX_FRAME_SIZE,
  MOST,
} from "./frames.ts";

export class PeerSettings {
  /** Bytes that may go out on a stream before anything was taken. */
  window = FIRST_WINDOW;
  /** Bytes of the largest frame that it takes; no more of them than ours has sense. */
  frame = FRAME_BYTES;
  /** Streams that we may have open. */
  streams = Infinity;
  table = 4_096;
  /** The lowest that was said of it in the last SETTINGS, which may say it more than once. */
  lowestTable = Infinity;
  /** It takes an extended CONNECT (RFC 8441). */
  connects = false;

  /** Reads the payload of a SETTINGS. Gives the code of what is wrong with it, or {@link NO_ERROR}. `byServer`: who must not push says that it may be pushed to. */
  take(bytes: Buffer, from: number, to: number, byServer: boolean): number {
    this.lowestTable = Infinity;
    for (let at = from; at < to; at += 6) {
      const value = bytes.readUInt32BE(at + 2);
      switch (bytes.readUInt16BE(at)) {
        case HEADER_TABLE_SIZE:
          this.table = value;
          this.lowestTable = Math.min(this.lowestTable, value);
          break;
        case ENABLE_PUSH:
          if (value > 1 || (byServer && value === 1)) return PROTOCOL_ERROR;
          break;
        case MAX_CONCURRENT_STREAMS:
          this.streams = value;
          break;
        case INITIAL_WINDOW_SIZE:
          if (value > MOST) return FLOW_CONTROL_ERROR;
          this.window = value;
          break;
        case MAX_FRAME_SIZE:
          if (value < FRAME_BYTES || value > 0xffffff) return PROTOCOL_ERROR;
          this.frame = Math.min(value, MOST_FRAME);
          break;
        case ENABLE_CONNECT_PROTOCOL:
          if (value > 1 || (value === 0 && this.connects)) return PROTOCOL_ERROR;
          this.connects = value === 1;
          break;
        default: // what is unknown, and MAX_HEADER_LIST_SIZE, which is advice
      }
    }
    return NO_ERROR;
  }
}

/** Larger frames would make other streams wait. */
const MOST_FRAME = 4 * FRAME_BYTES;

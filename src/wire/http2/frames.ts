// Frames: the numbers of HTTP/2's frames, flags and settings (RFC 9113, 6), and how the head of a frame is written.

export const DATA = 0;
export const HEADERS = 1;
export const PRIORITY = 2;
export const RST_STREAM = 3;
export const SETTINGS = 4;
export const PUSH_PROMISE = 5;
export const PING = 6;
export const GOAWAY = 7;
export const WINDOW_UPDATE = 8;
export const CONTINUATION = 9;

export const END_STREAM = 0x1;
export const ACK = 0x1;
export const END_HEADERS = 0x4;
export const PADDED = 0x8;
export const WITH_PRIORITY = 0x20;

export const HEADER_TABLE_SIZE = 1;
export const ENABLE_PUSH = 2;
export const MAX_CONCURRENT_STREAMS = 3;
export const INITIAL_WINDOW_SIZE = 4;
export const MAX_FRAME_SIZE = 5;
export const MAX_HEADER_LIST_SIZE = 6;
/** RFC 8441, 3. */
export const ENABLE_CONNECT_PROTOCOL = 8;

/** What a client's connection begins with (RFC 9113, 3.4). */
export const PREFACE = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");

/** Bytes of a frame before its payload. */
export const FRAME_HEAD = 9;
/** Bytes of the largest payload, unless SETTINGS allow more; ours do not. */
export const FRAME_BYTES = 16_384;
/** A window before anything was said of it. */
export const FIRST_WINDOW = 65_535;
/** The largest window, and the largest id of a stream. */
export const MOST = 0x7fffffff;

/** Writes what stands before a payload. */
export function writeFrameHead(into: Buffer, at: number, length: number, type: number, flags: number, id: number): void {
  into[at] = length >> 16;
  into[at + 1] = length >> 8;
  into[at + 2] = length;
  into[at + 3] = type;
  into[at + 4] = flags;
  writeNumber(into, at + 5, id);
}

/** Writes a number of 32 bits; `writeUInt32BE` without its checks. */
export function writeNumber(into: Buffer, at: number, value: number): void {
  into[at] = value >>> 24;
  into[at + 1] = value >>> 16;
  into[at + 2] = value >>> 8;
  into[at + 3] = value;
}

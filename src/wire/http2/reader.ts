// Reader: what the frames that come over a connection mean (RFC 9113, 6), and what of them is not allowed.
import { Allowance } from "./allowance.ts";
import { COMPRESSION_ERROR, FLOW_CONTROL_ERROR, FRAME_SIZE_ERROR, NO_ERROR, PROTOCOL_ERROR, STREAM_CLOSED } from "./codes.ts";
import { ACK, CONTINUATION, GOAWAY, HEADERS, MOST, PING, PRIORITY, PUSH_PROMISE, RST_STREAM, SETTINGS, WINDOW_UPDATE } from "./frames.ts";
import { HeadBlock } from "./head-block.ts";
import { Decoder } from "./hpack/decoder.ts";
import { type FrameReader, Input } from "./input.ts";
import type { Carried, Told } from "./roles.ts";

/** What stands beside the fields of a head in a header list. */
const PSEUDO_FIELDS = 6;
const TABLE_BYTES = 4_096;
/** What is thrown away of a connection that is closed already. */
const DISCARDED = 256 * 1024;

/** A class, since each connection has one. */
export class Reader implements FrameReader {
  readonly #link: Told;
  readonly #input = new Input(this);
  readonly #decoder: Decoder;
  readonly #block: HeadBlock;
  readonly #pings: Allowance;
  readonly #settings: Allowance;
  readonly #idle: Allowance;
  /** The peer's first SETTINGS have come. */
  #begun = false;
  /** Bytes of bodies that may still come over the connection, and those that have come since that was said. */
  #window: number;
  #taken = 0;
  /** The stream of the DATA that comes; undefined: nobody wants it. */
  #flow: Carried | undefined = undefined;
  #ends = false;
  #stopped = false;
  #discarded = 0;

  constructor(link: Told) {
    const { limits, deadlines } = link;
    this.#link = link;
    this.#decoder = new Decoder({ tableBytes: TABLE_BYTES, fields: limits.fields + PSEUDO_FIELDS, bytes: limits.headBytes });
    this.#block = new HeadBlock(limits);
    this.#pings = new Allowance(limits.pings, deadlines);
    this.#settings = new Allowance(limits.settings, deadlines);
    this.#idle = new Allowance(limits.idleFrames, deadlines);
    this.#window = limits.connectionWindow;
  }

  /** What comes from now on is thrown away. */
  stop(): void {
    this.#stopped = true;
    this.#flow = undefined;
    this.#input.stop();
    this.#block.drop();
  }

  read(chunk: Buffer): void {
    if (!this.#stopped) return this.#input.read(chunk);
    this.#discarded += chunk.length;
    if (this.#discarded > DISCARDED) this.#link.socket.destroy();
  }

  wrong(code: number, what: string): void {
    this.#link.fail(code, what);
  }

  dataBegins(id: number, length: number, bare: number, ended: boolean): void {
    const link = this.#link;
    this.#flow = undefined;
    if (!this.#begun || this.#block.id !== 0 || link.isIdle(id)) return this.wrong(PROTOCOL_ERROR, "DATA where there can be none");
    if (length > this.#window) return this.wrong(FLOW_CONTROL_ERROR, "the window of the connection is exceeded");
    if (length > 0) this.#take(length);
    if (bare === 0 && !ended) this.useless();
    if (this.#stopped) return;
    const flow = link.at(id);
    if (flow === undefined || flow.come) return this.#overdue(id, flow);
    if (!flow.admits(length, length - bare)) return flow.faulty(FLOW_CONTROL_ERROR, "the window of the stream is exceeded");
    this.#flow = flow;
    this.#ends = ended;
  }

  data(chunk: Buffer): void {
    this.#flow?.took(chunk);
  }

  dataEnds(): void {
    const flow = this.#flow;
    this.#flow = undefined;
    if (this.#ends) flow?.finished([]);
  }

  /** A stream is gone. */
  leave(flow: Carried): void {
    if (this.#flow === flow) this.#flow = undefined;
  }

  frame(type: number, flags: number, id: number, bytes: Buffer, from: number, to: number): void {
    if (!this.#begun && (type !== SETTINGS || (flags & ACK) !== 0)) return this.wrong(PROTOCOL_ERROR, "SETTINGS do not come first");
    if (this.#block.id !== 0 && (type !== CONTINUATION || id !== this.#block.id))
      return this.wrong(PROTOCOL_ERROR, "a head is broken by another frame");
    switch (type) {
      case HEADERS:
        if (id === 0) return this.wrong(PROTOCOL_ERROR, "HEADERS of no stream");
        return this.#head(type, flags, id, bytes, from, to);
      case CONTINUATION:
        if (this.#block.id === 0) return this.wrong(PROTOCOL_ERROR, "a CONTINUATION of nothing");
        return this.#head(type, flags, id, bytes, from, to);
      case RST_STREAM:
        if (to - from !== 4) return this.wrong(FRAME_SIZE_ERROR, "a RST_STREAM of another size than 4");
        if (id === 0 || this.#link.isIdle(id)) return this.wrong(PROTOCOL_ERROR, "RST_STREAM of no stream");
        return this.#reset(id, bytes.readUInt32BE(from));
      case SETTINGS:
        return this.#settingsCame(flags, id, bytes, from, to);
      case PING:
        if (to - from !== 8) return this.wrong(FRAME_SIZE_ERROR, "a PING of another size than 8");
        if (id !== 0) return this.wrong(PROTOCOL_ERROR, "a PING of a stream");
        return this.#ping(flags, bytes.subarray(from, to));
      case GOAWAY:
        if (to - from < 8) return this.wrong(FRAME_SIZE_ERROR, "a GOAWAY that is too small");
        if (id !== 0) return this.wrong(PROTOCOL_ERROR, "a GOAWAY of a stream");
        return this.#link.told(bytes.readUInt32BE(from) & MOST, bytes.readUInt32BE(from + 4));
      case WINDOW_UPDATE:
        if (to - from !== 4) return this.wrong(FRAME_SIZE_ERROR, "a WINDOW_UPDATE of another size than 4");
        return this.#windowed(id, bytes.readUInt32BE(from) & MOST);
      case PRIORITY:
        return this.#priority(id, bytes, from, to);
      case PUSH_PROMISE:
        return this.wrong(PROTOCOL_ERROR, "a PUSH_PROMISE that is not allowed");
      default:
        this.useless();
    }
  }

  #head(type: number, flags: number, id: number, bytes: Buffer, from: number, to: number): void {
    const block = this.#block;
    const state = block.take(type, flags, id, bytes, from, to);
    this.#link.headDue(state === "more");
    if (state === "more") return;
    if (state === "wrong") return this.wrong(PROTOCOL_ERROR, "HEADERS that are more padding than frame");
    if (state === "flood") return this.#link.calm("CONTINUATIONs");
    const list = this.#decoder.decode(block.bytes, block.from, block.to);
    if (list === undefined) return this.wrong(COMPRESSION_ERROR, "a head cannot be read");
    const { ended, circular } = block;
    const fault = circular ? "malformed" : this.#decoder.fault;
    const flow = this.#link.at(id);
    if (flow === undefined && this.#link.isIdle(id)) return this.#link.opened(id, list, fault, ended);
    if (flow === undefined || flow.come) return this.#overdue(id, flow);
    flow.headed(list, fault, ended);
  }

  /** A frame of a stream on which no more can come. */
  #overdue(id: number, flow: Carried | undefined): void {
    if (flow !== undefined) return flow.faulty(STREAM_CLOSED, "more behind the end of a message");
    const code = this.#link.lateCode(id);
    if (code !== NO_ERROR) this.wrong(code, "a frame of a stream that is closed");
  }

  #reset(id: number, code: number): void {
    const flow = this.#link.at(id);
    if (flow === undefined) {
      if (!this.#link.crossed(id)) this.useless();
      return;
    }
    this.#link.leave(flow, true);
    flow.resetBy(code);
  }

  #settingsCame(flags: number, id: number, bytes: Buffer, from: number, to: number): void {
    const link = this.#link;
    if (id !== 0) return this.wrong(PROTOCOL_ERROR, "SETTINGS of a stream");
    if ((flags & ACK) !== 0) {
      if (to !== from) this.wrong(FRAME_SIZE_ERROR, "an acknowledgement of SETTINGS with content");
      return;
    }
    if ((to - from) % 6 !== 0) return this.wrong(FRAME_SIZE_ERROR, "SETTINGS of a size that is no multiple of 6");
    if (!this.#settings.spend()) return link.calm("SETTINGS");
    const before = link.peer.window;
    const code = link.peer.take(bytes, from, to, link.isClient);
    if (code !== NO_ERROR) return this.wrong(code, "a value in SETTINGS that is not allowed");
    this.#begun = true;
    link.out.settingsTaken();
    link.settled(link.peer.window - before);
  }

  #ping(flags: number, payload: Buffer): void {
    if ((flags & ACK) !== 0) return this.#link.ponged();
    if (!this.#pings.spend()) return this.#link.calm("PINGs");
    this.#link.out.ping(payload, true);
  }

  #windowed(id: number, bytes: number): void {
    const link = this.#link;
    if (id === 0) {
      if (bytes === 0) return this.wrong(PROTOCOL_ERROR, "a window that grows by nothing");
      if (!link.grow(bytes)) this.wrong(FLOW_CONTROL_ERROR, "the window of the connection is too large");
      return;
    }
    if (link.isIdle(id)) return this.wrong(PROTOCOL_ERROR, "WINDOW_UPDATE of no stream");
    const flow = link.at(id);
    if (flow === undefined) return;
    if (bytes === 0) flow.faulty(PROTOCOL_ERROR, "a window that grows by nothing");
    else if (!flow.grow(bytes)) flow.faulty(FLOW_CONTROL_ERROR, "the window of the stream is too large");
  }

  /** Priorities mean nothing any more (RFC 9113, 5.3.2). */
  #priority(id: number, bytes: Buffer, from: number, to: number): void {
    if (id === 0) return this.wrong(PROTOCOL_ERROR, "PRIORITY of no stream");
    const flow = this.#link.at(id);
    if (to - from !== 5)
      return flow === undefined
        ? this.wrong(FRAME_SIZE_ERROR, "a PRIORITY of another size than 5")
        : flow.faulty(FRAME_SIZE_ERROR, "a PRIORITY of another size than 5");
    if ((bytes.readUInt32BE(from) & MOST) !== id) return this.useless();
    if (flow === undefined) this.wrong(PROTOCOL_ERROR, "a stream that depends on itself");
    else flow.faulty(PROTOCOL_ERROR, "a stream that depends on itself");
  }

  /** A frame has brought nothing. */
  useless(): void {
    if (!this.#idle.spend()) this.#link.calm("frames that bring nothing");
  }

  /** Bodies have come. The window is given back as they come, so that no stream waits for another. */
  #take(bytes: number): void {
    this.#window -= bytes;
    this.#taken += bytes;
    if (this.#taken * 2 < this.#link.limits.connectionWindow) return;
    this.#link.out.window(0, this.#taken);
    this.#window += this.#taken;
    this.#taken = 0;
  }
}

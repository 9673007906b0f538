// Flow: what both ends of an HTTP/2 stream have in common: chunks, trailers, pauses and the end of the message that comes in and of the one that goes out.
import type { Http2Stream } from "node:http2";
import { type Break, type BreakReason, type Fields, NO_FIELDS, type Receiver, type Stream } from "../wire.ts";
import { breakBy, codeOf, INTERNAL_ERROR, NO_ERROR } from "./codes.ts";
import { addFields, headersOf, sizeOf } from "./fields.ts";

/** A class, as a stream of the wire and the listener of a stream of node:http2 are one object: no closure is made for each method. */
export abstract class Flow<S extends Http2Stream> implements Stream {
  protected stream: S | undefined = undefined;
  /** END_STREAM has come, and all before it has been given. */
  protected whole = false;
  /** The message that goes out is complete. */
  protected ended = false;
  /** Whose reset is a cancellation. */
  protected abstract readonly asked: boolean;
  #receiver: Receiver | undefined = undefined;
  /** A break before there was anybody to be told. */
  #untold: Break | undefined = undefined;
  /** The receiver is told nothing more. */
  #silent = false;
  #paused = false;
  /** It is told when what was written is out. */
  #blocked = false;
  #trailersIn: Fields = NO_FIELDS;
  #trailersOut: Fields = NO_FIELDS;
  #cause: unknown = undefined;
  /** What was not read before the stream was gone, of a message that has come whole. */
  #rest: Uint8Array[] | undefined = undefined;
  readonly #headBytes: number;

  /** `headBytes`: how large trailers may be. */
  constructor(headBytes: number) {
    this.#headBytes = headBytes;
  }

  write(chunk: Uint8Array): boolean {
    const stream = this.opened();
    if (stream === undefined || this.ended || stream.write(chunk)) return true;
    if (!this.#blocked) stream.once("drain", () => this.#drained());
    this.#blocked = true;
    return false;
  }

  end(trailers: Fields = NO_FIELDS): void {
    if (this.ended) return;
    this.ended = true;
    this.#trailersOut = trailers;
    this.opened()?.end();
  }

  reset(why: BreakReason): void {
    this.silence();
    this.close(codeOf(why));
  }

  pause(): void {
    this.#paused = true;
    this.stream?.pause();
  }

  resume(): void {
    this.#paused = false;
    if (this.#rest !== undefined) this.#giveRest();
    else if (this.#receiver !== undefined) this.stream?.resume();
  }

  /** `trailing`: the message that goes out may have trailers. */
  protected attach(stream: S, trailing: boolean): void {
    this.stream = stream;
    if (trailing) stream.on("wantTrailers", () => this.#sendTrailers());
    stream.on("error", (error) => (this.#cause = error));
    stream.on("close", () => this.#closed());
  }

  /** Trailers may come in. */
  protected expectTrailers(stream: S): void {
    stream.on("trailers", (_headers: unknown, _flags: number, list: readonly string[]) => this.#trailers(list));
  }

  /** Who is told of a break, of one too that there was before, and of what was drained. */
  protected tellTo(receiver: Receiver): void {
    this.#receiver = receiver;
    const broken = this.#untold;
    if (broken !== undefined) queueMicrotask(() => receiver.broken(broken));
  }

  /** The message that comes in goes to its receiver. */
  protected give(receiver: Receiver): void {
    this.tellTo(receiver);
    const { stream } = this;
    if (stream === undefined || this.#silent) return;
    stream.on("data", (chunk: Uint8Array) => {
      if (!this.#silent) receiver.data(chunk);
    });
    stream.on("end", () => this.#end());
    if (this.#paused) stream.pause();
  }

  protected get silent(): boolean {
    return this.#silent;
  }

  protected silence(): void {
    this.#silent = true;
    this.ended = true;
  }

  protected close(code: number): void {
    this.opened()?.close(code);
  }

  /** Breaks it off from here, and tells so. */
  fail(why: Break, code = INTERNAL_ERROR): void {
    this.#tell(why);
    this.close(code);
  }

  protected breakAt(code: number, cause: unknown): Break {
    return breakBy(code, this.asked, cause);
  }

  /** Whether all of the message has come, now that the stream has no more to give. */
  protected abstract isWhole(stream: S): boolean;
  /** Whether it has come whole, read or not, where that matters once the stream is gone. */
  protected hasCome(): boolean {
    return false;
  }

  /** All of it has been given. */
  protected abstract received(): void;
  /** The last of what goes out was handed over. */
  protected abstract sent(): void;
  /** What was written is out. */
  protected flowed(): void {
    // for whoever waits for it
  }

  /** The stream is gone. */
  protected abstract gone(code: number): void;

  /** The stream, while it is one. */
  protected opened(): S | undefined {
    const { stream } = this;
    return stream === undefined || stream.closed || stream.destroyed ? undefined : stream;
  }

  #end(): void {
    const { stream } = this;
    if (this.#silent || this.whole || stream === undefined || !this.isWhole(stream)) return; // the break is told when the stream is closed
    this.whole = true;
    this.#receiver?.end(this.#trailersIn);
    this.received();
  }

  #drained(): void {
    this.#blocked = false;
    this.flowed();
    if (!this.#silent) this.#receiver?.drained();
  }

  #trailers(list: readonly string[]): void {
    if (sizeOf(list) > this.#headBytes) this.fail({ why: "too-large" });
    else this.#trailersIn = list;
  }

  #sendTrailers(): void {
    const stream = this.opened();
    if (stream === undefined) return;
    try {
      stream.sendTrailers(headersOf(addFields([], this.#trailersOut)));
    } catch (error) {
      return this.fail({ why: "protocol", cause: error });
    }
    this.sent();
  }

  #tell(why: Break): void {
    if (this.#silent) return;
    this.silence();
    if (this.#receiver === undefined) this.#untold = why;
    else this.#receiver.broken(why);
  }

  #closed(): void {
    const code = this.stream?.rstCode ?? NO_ERROR;
    this.gone(code);
    if (!this.#silent && !this.whole && this.hasCome()) return this.#readRest();
    if (!(this.ended && this.whole && code === NO_ERROR)) this.#tell(this.breakAt(code, this.#cause));
  }

  /** Node destroys a stream with its connection, and what was not read of it is in its buffer still. */
  #readRest(): void {
    this.#rest = [];
    for (let chunk: unknown = this.stream?.read(); chunk instanceof Uint8Array; chunk = this.stream?.read()) this.#rest.push(chunk);
    this.#giveRest();
  }

  #giveRest(): void {
    const rest = this.#rest ?? [];
    while (!this.#paused && !this.#silent) {
      const chunk = rest.shift();
      if (chunk === undefined) return this.#end();
      this.#receiver?.data(chunk);
    }
  }
}

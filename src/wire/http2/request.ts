// Request: one that goes out over HTTP/2, and waits first for a connection that takes it.
import { type ClientHttp2Stream, constants } from "node:http2";
import { type Break, type Fields, NO_FIELDS, type RequestHead, type ResponseReceiver } from "../wire.ts";
import { NO_ERROR } from "./codes.ts";
import { fieldOf, requestList, responseHead, sizeOf, switched } from "./fields.ts";
import { Flow } from "./flow.ts";
import type { UpstreamSession } from "./session.ts";

/** How much of a response that nobody wants is read, so that a short one comes to its end. */
const PARTED_BYTES = 64 * 1024;

/** A class, as its base is one. */
export class Http2Request extends Flow<ClientHttp2Stream> {
  protected readonly asked = false;
  readonly head: RequestHead;
  readonly #receiver: ResponseReceiver;
  readonly #left: (request: Http2Request) => void;
  #session: UpstreamSession | undefined = undefined;
  /** What is to be sent once there is a connection. */
  #held: Uint8Array[] = [];
  #heldEnd: Fields | undefined;
  #blocked = false;
  /** The request has no body. */
  readonly #bodyless: boolean;
  readonly #headBytes: number;
  #tunnel = false;
  /** It was given up, and the peer was not told. */
  #parted = false;
  /** What the response says that it is long, and how much of it has come. */
  #length: string | undefined;
  #bytes = 0;
  /** END_STREAM has come, read or not. */
  #complete = false;
  #over = false;

  /** `left`: it waits no more, without having been given a connection. */
  constructor(head: RequestHead, ended: boolean, receiver: ResponseReceiver, headBytes: number, left: (request: Http2Request) => void) {
    super(headBytes);
    this.#headBytes = headBytes;
    this.head = head;
    this.#receiver = receiver;
    this.#bodyless = ended;
    this.#heldEnd = ended ? NO_FIELDS : undefined;
    this.#left = left;
    this.tellTo(receiver);
  }

  /** It goes out over a connection that has room for it. */
  begin(session: UpstreamSession): void {
    const { head } = this;
    const grpc = fieldOf(head.fields, "content-type")?.startsWith("application/grpc") === true;
    const bytes = head.method === "CONNECT" || head.upgrade !== undefined;
    const waitForTrailers = !this.#bodyless && !grpc && !bytes;
    let stream: ClientHttp2Stream;
    try {
      // gRPC's requests have no trailers; to be able to send some costs a frame and a turn of the loop
      stream = session.request(requestList(head), { endStream: this.#bodyless, waitForTrailers });
    } catch (error) {
      queueMicrotask(() => this.fail({ why: "protocol", cause: error }));
      return;
    }
    this.#session = session;
    this.ended = this.#bodyless;
    this.attach(stream, waitForTrailers);
    // Node ends a stream that was reset with NO_ERROR as if END_STREAM had come. What is pushed while the stream is not closed is the real end. Servers of Node's, in
    // turn, reset so in place of END_STREAM where the window is used up by the last byte: then the length that the response says tells that it is complete
    const push = stream.push.bind(stream);
    stream.push = (chunk: unknown, encoding?: BufferEncoding): boolean => {
      if (chunk instanceof Uint8Array) this.#bytes += chunk.length;
      else if (chunk === null && (!stream.closed || (stream.rstCode === NO_ERROR && String(this.#bytes) === this.#length)))
        this.#complete = true;
      return push(chunk, encoding);
    };
    stream.on("headers", (_headers, _flags, list) => this.#interim(list));
    stream.on("response", (_headers, flags, list) => this.#headed(list, flags));
    queueMicrotask(() => this.#connected());
  }

  override write(chunk: Uint8Array): boolean {
    if (this.stream !== undefined && this.#held.length === 0) return super.write(chunk);
    if (this.ended) return true;
    this.#held.push(chunk);
    this.#blocked = true;
    return false;
  }

  override end(trailers: Fields = NO_FIELDS): void {
    if (this.stream !== undefined && this.#held.length === 0) return super.end(trailers);
    if (!this.ended) this.#heldEnd ??= trailers;
  }

  protected override close(code: number): void {
    const { stream } = this;
    this.#held = [];
    if (stream === undefined) {
      if (this.#over) return;
      this.#over = true;
      this.#left(this);
    } else if (!stream.closed && !stream.destroyed && !this.#parted) this.#part(stream, code);
  }

  protected override isWhole(): boolean {
    return this.#complete;
  }

  protected override hasCome(): boolean {
    return this.#complete;
  }

  protected override received(): void {
    if (this.#tunnel) return;
    // the response is complete: what is left of the request is of no use
    const ended = this.ended;
    this.silence();
    if (!ended) this.close(NO_ERROR);
  }

  protected override sent(): void {
    // the response decides when it is over
  }

  protected override breakAt(code: number, cause: unknown): Break {
    return this.#session?.lost(this.stream?.id ?? 0, cause) ?? super.breakAt(code, cause);
  }

  protected override gone(): void {
    if (this.stream !== undefined) this.#session?.left(this.stream);
  }

  #part(stream: ClientHttp2Stream, code: number): void {
    if (this.#session?.reset(stream, code) !== false) return;
    this.#parted = true;
    let bytes = 0;
    stream.on("data", (chunk: Uint8Array) => {
      bytes += chunk.length;
      if (bytes > PARTED_BYTES) stream.pause(); // its window is what it may send still
    });
    stream.resume();
  }

  #connected(): void {
    if (this.silent) return;
    this.#receiver.connected();
    const held = this.#held;
    this.#held = [];
    let more = true;
    for (const chunk of held) more = super.write(chunk);
    if (this.#heldEnd !== undefined) super.end(this.#heldEnd);
    else if (this.#blocked && more) this.#receiver.drained();
    this.#blocked = false;
  }

  #interim(list: readonly string[]): void {
    if (!this.silent) this.#receiver.inform(responseHead(list));
  }

  #headed(list: readonly string[], flags: number): void {
    const { stream, head } = this;
    if (this.silent || stream === undefined) return;
    if (sizeOf(list) > this.#headBytes) return this.fail({ why: "too-large" });
    const response = responseHead(list);
    this.#length = fieldOf(response.fields, "content-length");
    const good = response.status >= 200 && response.status < 300;
    const switching = head.upgrade !== undefined && good;
    this.#tunnel = switching || (head.method === "CONNECT" && good);
    const ended = (flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0;
    if (ended) stream.resume(); // Node waits for its end to be read
    this.#receiver.head(switching ? switched(head, response) : response, ended);
    if (ended) {
      this.whole = true;
      this.received();
    } else if (!this.silent) {
      this.expectTrailers(stream);
      this.give(this.#receiver);
    }
  }
}

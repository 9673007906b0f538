// Exchange: a request that came in over HTTP/2, and the way to answer it.
import type { ServerHttp2Stream } from "node:http2";
import type { Deadlines, Waiting } from "../deadlines.ts";
import type { Limits } from "../limits.ts";
import {
  type Break,
  type Connection,
  type Exchange,
  type Fields,
  NO_FIELDS,
  type Receiver,
  type RequestHead,
  type ResponseHead,
} from "../wire.ts";
import { isGarbage, NO_ERROR } from "./codes.ts";
import { headersOf, responseList, without } from "./fields.ts";
import { Flow } from "./flow.ts";

/** The statuses that have no body (RFC 9110, 6.4.1), and 205, whose body node:http2 leaves out. */
const BODYLESS = new Set([204, 205, 304]);

/** A stream that was reset sooner than this, and without an answer, was hardly meant. */
const HASTY_MS = 250;

/** What an exchange takes from its connection. */
export interface ExchangeBounds {
  readonly limits: Limits;
  readonly deadlines: Deadlines;
  /** The connection is gone. */
  lost(): boolean;
}

/** A class, as its base is one. */
export class Http2Exchange extends Flow<ServerHttp2Stream> implements Exchange, Waiting {
  readonly version = "2";
  readonly absolute = false;
  readonly head: RequestHead;
  readonly bodyless: boolean;
  readonly connection: Connection;
  protected readonly asked = true;
  readonly #bounds: ExchangeBounds;
  readonly #begun: number;
  readonly #gone: (code: number, hasty: boolean) => void;
  #tunnel = false;
  /** When it is looked after again. */
  dueAt = Infinity;
  /** Until when the client must have taken what was written. */
  #stallsAt = Infinity;
  /** The response is out, and what is left of the request is not wanted. */
  #out = false;
  #timed = false;

  /** `gone`: it is over; hastily, if the client's reset came so soon that it was hardly meant. */
  constructor(
    stream: ServerHttp2Stream,
    head: RequestHead,
    connection: Connection,
    bounds: ExchangeBounds,
    gone: (code: number, hasty: boolean) => void,
  ) {
    super(bounds.limits.headBytes);
    this.head = head;
    this.connection = connection;
    this.bodyless = stream.endAfterHeaders;
    this.whole = this.bodyless;
    this.#bounds = bounds;
    this.#begun = bounds.deadlines.after(0);
    this.#gone = gone;
    this.attach(stream, true);
    if (this.bodyless) stream.resume(); // Node waits for its end to be read
    else this.expectTrailers(stream);
  }

  receive(receiver: Receiver): void {
    if (this.bodyless) this.tellTo(receiver);
    else this.give(receiver);
  }

  inform(head: ResponseHead): void {
    const stream = this.opened();
    if (stream === undefined || stream.headersSent || head.status === 101) return;
    try {
      stream.additionalHeaders(headersOf(responseList(head.status, head.fields)));
    } catch (error) {
      this.fail({ why: "protocol", cause: error });
    }
  }

  respond(head: ResponseHead, ended: boolean): void {
    const stream = this.opened();
    if (stream === undefined || stream.headersSent) return;
    const { method, upgrade } = this.head;
    const switching = upgrade !== undefined && head.status === 101;
    this.#tunnel = switching || (method === "CONNECT" && head.status >= 200 && head.status < 300);
    const over = ended || method === "HEAD" || BODYLESS.has(head.status);
    // what a 101 says to an Upgrade is a 2xx here (RFC 8441, 5); node:http2 sends no status above 599
    const status = switching ? 200 : head.status > 599 ? 502 : head.status;
    try {
      const list = responseList(status, switching ? without(head.fields, "sec-websocket-accept") : head.fields);
      stream.respond(LISTS ? list : headersOf(list), over ? ENDED : FOLLOWED);
    } catch (error) {
      return this.fail({ why: "protocol", cause: error });
    }
    if (!over) return;
    this.ended = true;
    this.sent();
  }

  override write(chunk: Uint8Array): boolean {
    const more = super.write(chunk);
    if (!more) this.#stalled();
    return more;
  }

  override end(trailers: Fields = NO_FIELDS): void {
    super.end(trailers);
    this.#stalled();
  }

  /** The client has taken nothing for too long; or it is to be seen whether it has all of the response. */
  late(): void {
    if (this.#stallsAt <= this.#bounds.deadlines.after(0) && this.stream?.writableFinished === false) this.fail({ why: "slow" });
    else if (this.#out) this.#refuseRest(0);
  }

  protected override flowed(): void {
    this.#stallsAt = Infinity;
    this.#wait();
  }

  #stalled(): void {
    this.#stallsAt = this.#bounds.deadlines.after(this.#bounds.limits.stallMs);
    this.#wait();
  }

  #wait(): void {
    const { deadlines } = this.#bounds;
    this.dueAt = this.#out ? deadlines.after(0) : this.#stallsAt;
    if (this.#timed || this.opened() === undefined) return;
    this.#timed = true;
    deadlines.add(this);
  }

  /** Tunnels over HTTP/2 are not looked into. */
  accept(_fields: Fields, opaque: () => void): void {
    opaque();
  }

  /** The response is out. The rest of a request that it has not waited for is not wanted (RFC 9113, 8.1). */
  protected override sent(): void {
    if (this.whole || this.#tunnel) return;
    this.#out = true;
    this.#refuseRest(SOON);
  }

  /** Only when END_STREAM is out: it may wait for a window, and would be thrown away. Looked for a few turns of the loop, and then from time to time. */
  #refuseRest(turns: number): void {
    if (this.opened()?.state.localClose === 1) this.close(NO_ERROR);
    else if (turns > 0) setImmediate(() => this.#refuseRest(turns - 1));
    else this.#wait();
  }

  /** Where it is closed without an error: by its end, by our own NO_ERROR, or by the peer's, which is none of its ends. */
  protected override isWhole({ closed }: ServerHttp2Stream): boolean {
    return !closed || this.ended;
  }

  protected override received(): void {
    // the stream goes when the response does
  }

  protected override breakAt(code: number, cause: unknown): Break {
    if (code === NO_ERROR && this.ended) return { why: "cancelled", cause };
    return this.#bounds.lost() && !isGarbage(cause) ? { why: "reset", cause } : super.breakAt(code, cause);
  }

  protected override gone(code: number): void {
    const { deadlines } = this.#bounds;
    if (this.#timed) deadlines.remove(this);
    const unanswered = code !== NO_ERROR && !this.silent && this.stream?.headersSent === false;
    this.#gone(code, unanswered && deadlines.after(0) - this.#begun <= HASTY_MS);
  }
}

/** From 24.7 on node:http2 takes the list, which spares two objects. */
const LISTS = ((major = 0, minor = 0) => major > 24 || (major === 24 && minor >= 7))(...process.versions.node.split(".").map(Number));

/** In how many turns of the loop the end of a response is usually out. */
const SOON = 4;

const ENDED = { endStream: true, sendDate: false };
const FOLLOWED = { waitForTrailers: true, sendDate: false };

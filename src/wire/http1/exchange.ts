// Exchange: one request over HTTP/1.1 and the way to answer it; what the connection's reader tells it and what the proxy asks of it.
import {
  NO_FIELDS,
  type BreakReason,
  type Connection,
  type Exchange,
  type Fields,
  type Receiver,
  type RequestHead,
  type ResponseHead,
} from "../wire.ts";
import { encodeInterim, encodeResponse } from "./encode.ts";
import type { ParsedRequest } from "./heads.ts";
import { RAW, type Outgoing } from "./outgoing.ts";

/** The connection, as its exchange sees it. */
export interface Line {
  readonly out: Outgoing;
  readonly connection: Connection;
  /** Whether the exchange is the one that the connection is at. */
  isAt(exchange: Http1Exchange): boolean;
  /** The body is wanted, or for a while it is not. */
  flow(wanted: boolean): void;
  /** The response begins. True: it is the connection's last. */
  begins(): boolean;
  /** Looks at the first bytes of a tunnel. */
  sniffs(opaque: () => void): void;
  /** The connection has gone over to another protocol. */
  switched(): void;
  /** Nothing more goes out for the exchange. */
  answered(): void;
  /** What is sent is not taken: from now on the peer has its time for it. */
  stalls(): void;
  /** Breaks the connection; the exchange is told nothing. */
  drop(hard: boolean): void;
}

/** A class, since one is made for each request: its methods are no objects of their own then. */
export class Http1Exchange implements Exchange {
  readonly version: "1.0" | "1.1";
  readonly head: RequestHead;
  readonly absolute: boolean;
  readonly bodyless: boolean;
  readonly connection: Connection;
  receiver: Receiver | undefined;
  /** The final head has gone out. */
  responded = false;
  /** The request has come whole. */
  complete: boolean;
  /** The response's body is not sent, whatever is written: the request was HEAD, or the status has none. */
  #mute = false;
  #raw = false;
  /** CONNECT: 200 is out, before anyone knew what becomes of it. */
  #accepted = false;
  #expects: boolean;
  readonly #line: Line;
  readonly #minor: 0 | 1;

  constructor(line: Line, { head, minor, absolute, frame, expects }: ParsedRequest) {
    this.#line = line;
    this.#minor = minor;
    this.version = minor === 1 ? "1.1" : "1.0";
    this.head = head;
    this.absolute = absolute;
    this.bodyless = frame === 0;
    this.complete = this.bodyless;
    this.connection = line.connection;
    this.#expects = expects;
  }

  receive(receiver: Receiver): void {
    if (this.receiver !== undefined) return;
    this.receiver = receiver;
    if (!this.#line.isAt(this)) {
      queueMicrotask(() => receiver.broken({ why: "reset" })); // it broke off before anyone could be told
      return;
    }
    if (this.#expects && !this.responded) this.#line.out.head("HTTP/1.1 100 Continue\r\n\r\n", 0);
    this.#line.flow(true);
  }

  inform(head: ResponseHead): void {
    if (this.responded || this.#minor === 0 || head.status === 101 || !this.#line.isAt(this)) return;
    const text = encodeInterim(head, undefined);
    if (text !== undefined) this.#line.out.head(text, 0);
    if (head.status === 100) this.#expects = false;
  }

  accept(fields: Fields, opaque: () => void): void {
    if (this.head.method !== "CONNECT" || this.responded || this.#accepted || !this.#line.isAt(this)) return;
    const encoded = encodeResponse({ status: 200, fields }, false, { method: "CONNECT", minor: this.#minor }, false);
    if (encoded === undefined) return this.#line.drop(false);
    this.#accepted = true;
    this.#line.out.head(encoded.text, RAW);
    this.#line.sniffs(opaque);
  }

  respond(head: ResponseHead, ended: boolean): void {
    if (this.responded || !this.#line.isAt(this)) return;
    const { method, upgrade } = this.head;
    this.responded = true;
    if (this.#accepted && (head.status < 200 || head.status > 299)) return this.#line.drop(true);
    if (head.status === 101 ? upgrade !== undefined : method === "CONNECT" && head.status >= 200 && head.status < 300) {
      const text =
        head.status === 101 ? encodeInterim(head, upgrade) : encodeResponse(head, false, { method, minor: this.#minor }, false)?.text;
      if (text === undefined) return this.#line.drop(false);
      this.#raw = true;
      this.#line.out.head(this.#accepted ? "" : text, RAW);
      this.#line.switched();
      if (ended) this.end();
      return;
    }
    const encoded = encodeResponse(head, ended, { method, minor: this.#minor }, this.#line.begins());
    if (encoded === undefined) return this.#line.drop(false);
    this.#mute = method === "HEAD" || head.status === 204 || head.status === 304;
    this.#line.out.head(encoded.text, encoded.frame);
    if (ended) this.#finish(NO_FIELDS);
  }

  write(chunk: Uint8Array): boolean {
    if (!this.responded || this.#mute || !this.#line.isAt(this)) return true;
    const more = this.#line.out.write(chunk);
    if (more === undefined) this.#line.drop(false);
    else if (!more) this.#line.stalls();
    return more ?? true;
  }

  end(trailers: Fields = NO_FIELDS): void {
    if (this.responded && this.#line.isAt(this)) this.#finish(trailers);
  }

  #finish(trailers: Fields): void {
    if (this.#line.out.end(this.#minor === 1 ? trailers : NO_FIELDS)) this.#line.answered();
    else this.#line.drop(false);
  }

  reset(_why: BreakReason): void {
    // A body that the connection's end completes, and another protocol, have no other sign of what is missing than a reset.
    if (this.#line.isAt(this)) this.#line.drop(this.#raw || this.#minor === 0);
  }

  pause(): void {
    if (this.#line.isAt(this)) this.#line.flow(false);
  }

  resume(): void {
    if (this.receiver !== undefined && this.#line.isAt(this)) this.#line.flow(true);
  }
}

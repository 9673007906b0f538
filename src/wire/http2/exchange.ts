// Exchange: a request that came in over HTTP/2, and the way to answer it.
import type { Waiting } from "../deadlines.ts";
import type { Pipe } from "../serve.ts";
import { tunnelProtocol } from "../tunnel.ts";
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
import { CONNECT_ERROR, NO_ERROR } from "./codes.ts";
import { type Read, responseList, without } from "./fields.ts";
import { Flow } from "./flow.ts";
import type { Carrier } from "./roles.ts";
import { Sniff } from "./sniff.ts";
import { TunnelPipe } from "./tunnel-pipe.ts";

/** The statuses that have no body (RFC 9110, 6.4.1), and 205, whose body is empty. */
const BODYLESS = new Set([204, 205, 304]);

/** A stream that was reset sooner than this, and without an answer, was hardly meant. */
const HASTY_MS = 250;

/** Serves HTTP that comes through a tunnel. The exchange is over then. There is none for a CONNECT that has come through a tunnel itself. */
export type Through = (exchange: Http2Exchange, pipe: Pipe, protocol: "http1" | "http2") => void;

/** A class, as its base is one. */
export class Http2Exchange extends Flow implements Exchange, Waiting {
  readonly version = "2";
  readonly absolute = false;
  readonly head: RequestHead;
  readonly bodyless: boolean;
  readonly connection: Connection;
  /** The final head is out. */
  responded = false;
  protected readonly asked = true;
  readonly #begun: number;
  #tunnel = false;
  readonly #through: Through | undefined;
  /** CONNECT: 200 is out, before anyone knew what becomes of it. */
  #sniff: Sniff | undefined = undefined;
  /** When it is looked after again: until then the client must have taken something of what was written. */
  dueAt = Infinity;
  #timed = false;

  constructor(link: Carrier, { head, length }: Read<RequestHead>, ended: boolean, connection: Connection, through: Through | undefined) {
    super();
    this.#through = through;
    this.head = head;
    this.length = length;
    this.bodyless = ended;
    this.come = this.whole = ended;
    this.connection = connection;
    this.#begun = link.deadlines.after(0);
  }

  receive(receiver: Receiver): void {
    this.tellTo(receiver);
  }

  inform(head: ResponseHead): void {
    if (!this.responded && head.status !== 101) this.#sendHead(head.status, head.fields, false);
  }

  respond(head: ResponseHead, ended: boolean): void {
    if (this.responded) return;
    if (this.#sniff !== undefined) return this.#goesOn(head, ended);
    const { method, upgrade } = this.head;
    const switching = upgrade !== undefined && head.status === 101;
    this.responded = true;
    this.#tunnel = switching || (method === "CONNECT" && head.status >= 200 && head.status < 300);
    const over = ended || method === "HEAD" || (!this.#tunnel && BODYLESS.has(head.status));
    // what a 101 says to an Upgrade is a 2xx here (RFC 8441, 5); HTTP has no status above 599
    const status = switching ? 200 : head.status > 599 ? 502 : head.status;
    this.#sendHead(status, switching ? without(head.fields, "sec-websocket-accept") : head.fields, over);
  }

  override write(chunk: Uint8Array): boolean {
    return this.responded ? super.write(chunk) : true;
  }

  override end(trailers: Fields = NO_FIELDS): void {
    if (this.responded) super.end(trailers);
  }

  accept(fields: Fields, opaque: () => void): void {
    const { link } = this;
    if (link?.at(this.id) !== this || this.head.method !== "CONNECT" || this.responded || this.#sniff !== undefined) return;
    if (this.#through === undefined) return opaque();
    this.#tunnel = true;
    this.#sniff = new Sniff(link, opaque);
    this.#sendHead(200, fields, false);
    this.grown();
  }

  /** More has come through a tunnel, or nothing more will. */
  protected override grown(chunk?: Uint8Array): void {
    const sniff = this.#sniff;
    if (sniff === undefined || sniff.settled || this.link === undefined) return;
    if (!this.come && !sniff.isWorth(this.got, chunk)) return;
    const protocol = this.come ? "opaque" : tunnelProtocol(this.peek(this.link.limits.lineBytes), this.link.limits.lineBytes);
    if (protocol === "more") return;
    if (protocol === "opaque") return sniff.opaque();
    sniff.settle();
    this.responded = true;
    const pipe = new TunnelPipe(this);
    this.tellTo(pipe.receiver);
    this.#through?.(this, pipe, protocol);
  }

  /** What the tunnel is for is said after its client was told 200. */
  #goesOn({ status }: ResponseHead, ended: boolean): void {
    this.responded = true;
    if (status < 200 || status > 299) this.fail({ why: "cancelled" }, CONNECT_ERROR);
    else if (ended) this.end();
  }

  headed(list: string[], fault: string, ended: boolean): void {
    this.trailed(list, fault, ended);
  }

  /** Whether it was given up so soon that it was hardly meant. */
  get hasty(): boolean {
    const { link } = this;
    return link !== undefined && !this.responded && link.deadlines.after(0) - this.#begun <= HASTY_MS;
  }

  /** The client has taken nothing for too long. */
  late(): void {
    this.fail({ why: "slow" });
  }

  /** It is gone. */
  forget(): void {
    this.#sniff?.settle();
    if (this.#timed) this.link?.deadlines.remove(this);
    this.#timed = false;
  }

  override resetBy(code: number): void {
    // by the peer's NO_ERROR none of its messages ends
    if (code === NO_ERROR && this.ended) this.lost({ why: "cancelled" });
    else super.resetBy(code);
  }

  protected override stalled(): void {
    const { link } = this;
    if (link === undefined || link.at(this.id) !== this) return;
    this.dueAt = link.deadlines.after(link.limits.stallMs);
    if (this.#timed) return;
    this.#timed = true;
    link.deadlines.add(this);
  }

  protected override flowed(): void {
    this.dueAt = Infinity;
  }

  protected override received(): void {
    // the stream goes when the response does
  }

  /** The rest of a request that the response has not waited for is not wanted (RFC 9113, 8.1). */
  protected override sent(): void {
    if (this.come || this.#tunnel) return;
    const cancelled: Break = { why: "cancelled" };
    this.fail(cancelled, NO_ERROR);
  }

  #sendHead(status: number, fields: Fields, over: boolean): void {
    const { link } = this;
    if (link === undefined || link.at(this.id) !== this) return;
    try {
      link.out.headers(this.id, responseList(status, fields), over, link.encoder, link.peer.frame);
    } catch (error) {
      return this.fail({ why: "protocol", cause: error });
    }
    if (over) this.outIs();
  }
}

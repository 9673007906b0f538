// Request: one that goes out over HTTP/2, and waits first for a connection that takes it.
import { type Break, type Fields, NO_FIELDS, type RequestHead, type ResponseReceiver } from "../wire.ts";
import { NO_ERROR, PROTOCOL_ERROR } from "./codes.ts";
import { requestList, responseHead, switched } from "./fields.ts";
import { Flow } from "./flow.ts";
import type { UpstreamLink } from "./upstream-link.ts";

/** How much of a response that nobody wants is read, so that a short one comes to its end. */
const PARTED_BYTES = 64 * 1024;

/** Who has it before it has a connection. */
export interface Waiters {
  /** It waits no more. */
  leave(request: Http2Request): void;
  /** The connection that was to take it is gone, and nothing of it was sent. */
  again(request: Http2Request): void;
}

/** A class, as its base is one. */
export class Http2Request extends Flow {
  readonly head: RequestHead;
  protected readonly asked = false;
  readonly #receiver: ResponseReceiver;
  readonly #waiters: Waiters;
  /** The request has no body. */
  readonly #bodyless: boolean;
  #upstream: UpstreamLink | undefined = undefined;
  #waits = true;
  #tunnel = false;
  #headed = false;
  #interims = 0;
  #unwanted = 0;
  /** Why a tunnel has broken off behind the end of what comes. */
  #behind: Break | undefined = undefined;

  constructor(head: RequestHead, ended: boolean, receiver: ResponseReceiver, waiters: Waiters) {
    super();
    this.head = head;
    this.#receiver = receiver;
    this.#bodyless = ended;
    this.ended = ended;
    this.#waiters = waiters;
    this.tellTo(receiver);
  }

  /** It goes out over a connection that has room for it. */
  begin(link: UpstreamLink): void {
    link.reserve();
    queueMicrotask(() => {
      if (this.silent) this.#waits = false;
      else if (link.usable) this.#send(link);
      else this.#waiters.again(this);
      link.release(this.#upstream === link);
    });
  }

  #send(link: UpstreamLink): void {
    this.#waits = false;
    this.#receiver.connected();
    if (this.silent) return; // it was given up at this moment
    let list: readonly string[];
    try {
      if (this.head.upgrade !== undefined && !link.peer.connects)
        throw new TypeError("The upstream takes no Upgrade over HTTP/2 (RFC 8441)");
      list = requestList(this.head);
    } catch (error) {
      return this.fail({ why: "protocol", cause: error });
    }
    this.#upstream = link;
    link.send(this, list, this.#bodyless);
    if (this.#bodyless) this.outIs();
    else this.started(link);
  }

  headed(list: string[], fault: string, ended: boolean): void {
    if (this.#headed) return this.trailed(list, fault, ended);
    if (this.silent) {
      if (ended) this.finished(NO_FIELDS);
      return;
    }
    if (fault === "too-large" || fault === "too-many") return this.fail({ why: "too-large" });
    const read = fault === "" ? responseHead(list) : "a field that is not allowed";
    if (typeof read === "string") return this.faulty(PROTOCOL_ERROR, `a response with ${read}`);
    const { head, length } = read;
    if (head.status < 200) {
      if (ended || head.status === 101) return this.faulty(PROTOCOL_ERROR, "an interim response that is none");
      if (++this.#interims > (this.link?.limits.interims ?? 0)) return this.fail({ why: "too-large" });
      this.#receiver.inform(head);
      return;
    }
    this.#headed = true;
    const good = head.status < 300;
    const switching = this.head.upgrade !== undefined && good;
    this.#tunnel = switching || (this.head.method === "CONNECT" && good);
    const bodyless = this.head.method === "HEAD" || head.status === 204 || head.status === 304;
    this.length = this.#tunnel ? -1 : bodyless ? 0 : length;
    if (ended && this.length > 0) return this.faulty(PROTOCOL_ERROR, "a body that is shorter than it says");
    if (ended) this.come = this.whole = true;
    if (ended) this.received();
    this.#receiver.head(switching ? switched(this.head, head) : head, ended);
    if (ended && this.out) this.over();
  }

  override trailed(list: string[], fault: string, ended: boolean): void {
    if (this.silent && ended) this.finished(NO_FIELDS);
    else super.trailed(list, fault, ended);
  }

  override finished(trailers: Fields): void {
    if (!this.#headed && !this.silent) return this.faulty(PROTOCOL_ERROR, "a body without a head");
    super.finished(trailers);
  }

  override took(chunk: Uint8Array): void {
    if (!this.#headed && !this.silent) return this.faulty(PROTOCOL_ERROR, "a body without a head");
    super.took(chunk);
  }

  /**
   * Servers of Node's reset so in place of END_STREAM where the window is used up by the last byte: then the length that the response says tells that it is
   * complete.
   */
  override resetBy(code: number): void {
    if (this.come || code !== NO_ERROR || !this.#headed || this.got !== this.length) return super.resetBy(code);
    this.finished(NO_FIELDS);
  }

  /** What has come whole is given still, before it is told that nothing goes out of a tunnel any more. */
  override lost(why: Break): void {
    if (!this.come || (this.#tunnel && this.whole && !this.out)) return super.lost(why);
    if (this.#tunnel && !this.out) this.#behind = why;
    this.drop();
  }

  override resume(): void {
    super.resume();
    if (this.#behind !== undefined && this.whole) this.tell(this.#behind);
  }

  protected override close(code: number): void {
    if (this.#upstream !== undefined) this.#upstream.part(this, code);
    else if (this.#waits) {
      this.#waits = false;
      this.#waiters.leave(this);
    }
  }

  /** The response is complete: what is left of the request is of no use. */
  protected override received(): void {
    if (this.#tunnel || this.out) return;
    this.drop();
    // later, as most servers reset it themselves, in the same breath
    queueMicrotask(() => this.#upstream?.part(this, NO_ERROR));
  }

  protected override sent(): void {
    // the response decides when it is over
  }

  protected override unwanted(bytes: number): void {
    this.#unwanted += bytes;
    if (this.#unwanted <= PARTED_BYTES) super.unwanted(bytes); // its window is what it may send still
  }
}

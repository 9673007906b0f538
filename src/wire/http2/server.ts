// Server: a connection that speaks HTTP/2, as the exchanges that it brings.
import type { Counted, Host, Pipe, Served } from "../serve.ts";
import type { Break } from "../wire.ts";
import { Allowance } from "./allowance.ts";
import { ENHANCE_YOUR_CALM, NO_ERROR, PROTOCOL_ERROR, REFUSED_STREAM } from "./codes.ts";
import { Http2Exchange, type Through } from "./exchange.ts";
import { requestHead, responseList } from "./fields.ts";
import { ENABLE_CONNECT_PROTOCOL, MAX_CONCURRENT_STREAMS, MOST, PREFACE } from "./frames.ts";
import { Link } from "./link.ts";
import type { Carried } from "./roles.ts";
import { TunnelPipe } from "./tunnel-pipe.ts";

/** What a PING says whose answer tells that the first GOAWAY has been read. */
const LEAVING = Buffer.from("leaving.");
const NOTHING = Buffer.alloc(0);
/** How many gaps in the ids of streams are remembered. */
const MOST_GAPS = 64;

/** A class, as its base is one. */
class ServerLink extends Link implements Served {
  readonly isClient = false;
  readonly #host: Host;
  readonly #connection: Counted;
  /** What of the preface has not come. */
  #preface = PREFACE;
  /** "leaving": it has told the peer that it will go, and takes what is on its way. "closing": it takes no more. */
  #phase: "open" | "leaving" | "closing" = "open";
  /** What is served through tunnels. */
  readonly #tunnels = new Map<Carried, Served>();
  readonly #through: Through | undefined;
  /** Ids that the peer has left out, first and last by turns. */
  readonly #gaps: number[] = [];

  constructor(socket: Pipe, first: Buffer, host: Host, connection: Counted) {
    const { limits, deadlines } = host;
    super(socket, limits, deadlines, new Allowance(limits.resets, deadlines));
    this.#host = host;
    this.#connection = connection;
    // one deep: connections within connections would be as many as a client likes
    this.#through =
      socket instanceof TunnelPipe
        ? undefined
        : (exchange, pipe, protocol) => {
            host.ended();
            this.#tunnels.set(exchange, host.serve(protocol, pipe, NOTHING, connection, exchange.head.authority));
          };
    this.begin([MAX_CONCURRENT_STREAMS, limits.streams, ENABLE_CONNECT_PROTOCOL, 1]);
    this.wait(limits.headMs); // for its SETTINGS
    this.read(first);
    if (host.draining) this.drain();
  }

  /** Says that it will go (RFC 9113, 6.8); what was sent before that is known is still served. */
  drain(): void {
    if (this.dead || this.#phase !== "open") return;
    this.#phase = "leaving";
    this.out.goaway(MOST, NO_ERROR);
    this.out.ping(LEAVING, false);
    for (const served of this.#tunnels.values()) served.drain();
    this.wait(this.limits.leaveMs);
  }

  ponged(): void {
    if (this.#phase === "leaving") this.#leave();
  }

  told(): void {
    // it goes when it likes
  }

  isIdle(id: number): boolean {
    return id % 2 === 0 || id > this.lastId;
  }

  opened(id: number, list: string[], fault: string, ended: boolean): void {
    const { limits } = this;
    if (id % 2 === 0) return this.fail(PROTOCOL_ERROR, "a client's stream has an even id");
    if (id > this.lastId + 2 && this.#gaps.length < 2 * MOST_GAPS) this.#gaps.push(this.lastId + 2, id - 2);
    this.lastId = id;
    if (this.#phase === "closing") return this.resetId(id, REFUSED_STREAM);
    this.lastTaken = id;
    if (this.streams.size >= limits.streams) {
      this.useless(); // a client that has not acknowledged our SETTINGS, or does not care
      return this.#refuse(id, 0, REFUSED_STREAM);
    }
    if (fault === "too-many") return this.#refuse(id, 0, ENHANCE_YOUR_CALM);
    if (fault === "too-large") return this.#tooLarge(id, ended);
    const read = fault === "" ? requestHead(list) : fault;
    if (typeof read === "string" || (ended && read.length > 0)) {
      this.#refuse(id, 400, PROTOCOL_ERROR);
      return this.blame();
    }
    if (this.#phase === "open") this.wait(Infinity);
    this.#connection.requests++;
    this.#host.begun();
    const exchange = new Http2Exchange(this, read, ended, this.#connection, this.#through);
    this.add(id, exchange);
    this.#host.exchange(exchange);
  }

  protected override read(chunk: Buffer): void {
    if (this.#preface.length === 0) return super.read(chunk);
    const part = chunk.subarray(0, this.#preface.length);
    if (!part.equals(this.#preface.subarray(0, part.length))) return this.fail(PROTOCOL_ERROR, "the preface is not HTTP/2's");
    this.#preface = this.#preface.subarray(part.length);
    if (part.length < chunk.length) super.read(chunk.subarray(part.length));
  }

  protected owed(): number {
    return this.out.waiting;
  }

  protected took(): void {
    if (this.streams.size === 0 && this.#phase === "open") this.wait(this.limits.idleMs);
  }

  protected expired(): void {
    if (this.#phase === "closing" && this.streams.size > 0) return;
    this.#leave();
  }

  protected left(flow: Carried, byPeer: boolean): void {
    if (!(flow instanceof Http2Exchange)) return;
    flow.forget();
    if (!this.#tunnels.delete(flow)) this.#host.ended();
    if (byPeer && flow.hasty) this.blame();
    if (this.streams.size > 0 || this.dead) return;
    if (this.#phase === "closing") this.close({ why: "reset" });
    else if (this.#phase === "open") this.wait(this.limits.idleMs);
  }

  protected wasSkipped(id: number): boolean {
    for (let index = 0; index < this.#gaps.length; index += 2)
      if (id >= (this.#gaps[index] ?? 0) && id <= (this.#gaps[index + 1] ?? 0)) return true;
    return false;
  }

  override calm(what: string): void {
    if (!this.dead) this.#host.refused(0, this.#connection);
    super.calm(what);
  }

  protected gone(_why: Break): void {
    // its exchanges know
  }

  /** Takes no more, and goes when what is under way is over. */
  #leave(): void {
    this.#phase = "closing";
    this.out.goaway(this.lastTaken, NO_ERROR);
    if (this.streams.size === 0) this.close({ why: "reset" });
  }

  /** `status` 0: HTTP/2 has none for it. */
  #refuse(id: number, status: 0 | 400, code: number): void {
    this.#host.refused(status, this.#connection);
    this.resetId(id, code);
  }

  #tooLarge(id: number, ended: boolean): void {
    this.#host.refused(431, this.#connection);
    this.out.headers(id, responseList(431, []), true, this.encoder, this.peer.frame);
    if (!ended) this.resetId(id, NO_ERROR);
  }
}

/** Serves a connection. `first`: bytes that were read from it already. */
export const serveHttp2 = (socket: Pipe, first: Buffer, host: Host, connection: Counted): Served =>
  new ServerLink(socket, first, host, connection);

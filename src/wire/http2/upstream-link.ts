// Upstream link: one HTTP/2 connection to an upstream, and how much it takes.
import type { Duplex } from "node:stream";
import type { Deadlines } from "../deadlines.ts";
import type { Limits } from "../limits.ts";
import type { Break } from "../wire.ts";
import { Allowance } from "./allowance.ts";
import { NO_ERROR, PROTOCOL_ERROR } from "./codes.ts";
import { ENABLE_PUSH, MOST, PREFACE } from "./frames.ts";
import { Link } from "./link.ts";
import type { Carried } from "./roles.ts";

export interface LinkEvents {
  /** The peer has said its SETTINGS: before, nobody knows that it speaks HTTP/2, nor how much it takes. */
  stands(link: UpstreamLink): void;
  /** There is room again. */
  free(): void;
  /** It takes no more. */
  going(link: UpstreamLink): void;
  gone(link: UpstreamLink, why: Break): void;
}

/** How often the peer is told of some of what was given up. */
const RETELL_MS = 1_000;
const PROBE = Buffer.from("are you?");

/** A class, as its base is one. */
export class UpstreamLink extends Link {
  readonly isClient = true;
  /** It takes no more requests. */
  going = false;
  /** The peer has said its SETTINGS. */
  stood = false;
  /** It takes up no stream that it has not seen yet (GOAWAY). */
  #closed = false;
  readonly #on: LinkEvents;
  /** How often the peer is told that a stream was given up. */
  readonly #partings: Allowance;
  /** Streams that were given up, and the code that the peer is told later. */
  readonly #parted = new Map<Carried, number>();
  /** Requests that will be sent before long. */
  #reserved = 0;
  #unanswered = false;

  constructor(socket: Duplex, limits: Limits, deadlines: Deadlines, on: LinkEvents) {
    super(socket, limits, deadlines, new Allowance(limits.resets, deadlines));
    this.#on = on;
    this.lastId = -1;
    this.#partings = new Allowance(limits.upstreamResets, deadlines);
    this.out.raw(PREFACE);
    this.begin([ENABLE_PUSH, 0]);
    this.wait(limits.connectMs);
  }

  /** How many more requests it takes now. */
  room(): number {
    if (this.going || this.dead || !this.stood) return 0;
    return Math.min(this.peer.streams, this.limits.upstreamStreams) - this.streams.size - this.#reserved;
  }

  /** A request will be sent before long. */
  reserve(): void {
    this.#reserved++;
    this.#again();
  }

  /** Whether a request that was reserved for can be sent: one more goes over a connection that we are about to leave, so that all do get one. */
  get usable(): boolean {
    return !this.dead && !this.#closed && this.lastId < MOST - 2;
  }

  /** What was reserved for was sent, or is not. */
  release(sent: boolean): void {
    this.#reserved--;
    if (this.dead) return;
    if (!sent) this.#again();
    if (this.going) this.#finish();
    else if (!sent) this.#on.free();
  }

  send(request: Carried, list: readonly string[], ended: boolean): void {
    this.lastId += 2;
    this.add(this.lastId, request);
    this.out.headers(this.lastId, list, ended, this.encoder, this.peer.frame);
    if (this.lastId >= MOST - 2) this.leaveOff();
    this.#again();
  }

  /** Gives a stream up. Where the peer was told so too often, it is told later. */
  part(request: Carried, code: number): void {
    if (this.dead || this.at(request.id) !== request || this.#parted.has(request)) return;
    if (this.#partings.spend()) return this.reset(request, code);
    this.#parted.set(request, code);
    this.leaveOff();
  }

  /** Takes no more, and goes when its streams are over. */
  leaveOff(): void {
    this.#go();
    this.#finish();
  }

  isIdle(id: number): boolean {
    return id % 2 === 0 || id > this.lastId;
  }

  opened(): void {
    this.fail(PROTOCOL_ERROR, "a stream that the server has opened");
  }

  ponged(): void {
    this.#unanswered = false;
  }

  told(last: number, code: number): void {
    if (code !== NO_ERROR) this.peerCode = code;
    this.#closed = true;
    this.#go();
    for (const flow of this.streams.values()) {
      if (flow.id <= last) continue;
      this.leave(flow);
      flow.lost({ why: "refused", code: this.peerCode });
    }
    this.#finish();
  }

  /** Not the heads of requests: two that each wait for the other to read would wait for ever. */
  protected owed(): number {
    return this.out.answers;
  }

  protected took(): void {
    if (this.stood) return this.#on.free();
    this.stood = true;
    this.#again();
    this.#on.stands(this);
  }

  protected expired(): void {
    if (!this.stood) return this.destroy({ why: "connect", cause: new Error(`no SETTINGS in ${this.limits.connectMs} ms`) });
    if (this.#parted.size > 0) {
      for (const [request, code] of this.#parted) {
        if (!this.#partings.spend()) break;
        this.reset(request, code);
      }
      this.#again();
    } else if (this.streams.size > 0) this.#probe();
    else this.leaveOff();
  }

  /** A peer that is going and says nothing more is gone. */
  #probe(): void {
    if (this.#unanswered) return this.destroy({ why: "reset", cause: new Error("The peer is going, and answers no PING") });
    this.#unanswered = true;
    this.out.ping(PROBE, false);
    this.#again();
  }

  protected left(flow: Carried): void {
    this.#parted.delete(flow);
    if (this.dead) return;
    this.#again();
    if (this.going) this.#finish();
    else this.#on.free();
  }

  protected gone(why: Break): void {
    this.#go();
    this.#on.gone(this, why);
  }

  protected wasSkipped(): boolean {
    return false;
  }

  /** What there is to wait for. */
  #again(): void {
    if (this.dead) return;
    const { limits } = this;
    const active = this.streams.size + this.#reserved;
    this.wait(this.#parted.size > 0 ? RETELL_MS : active === 0 ? limits.idleMs : this.going ? limits.connectMs : Infinity);
  }

  #go(): void {
    if (this.going) return;
    this.going = true;
    this.#on.going(this);
    if (this.stood) this.#again();
  }

  /** Ends it when nobody waits for anything on it any more. */
  #finish(): void {
    if (this.dead || !this.going || this.streams.size + this.#reserved > this.#parted.size) return;
    this.out.goaway(0, NO_ERROR);
    this.close({ why: "reset" });
  }
}

/** Begins HTTP/2 on a connection. */
export const openLink = (socket: Duplex, limits: Limits, deadlines: Deadlines, on: LinkEvents): UpstreamLink =>
  new UpstreamLink(socket, limits, deadlines, on);

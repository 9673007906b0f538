// Link: one connection of HTTP/2, as both of its ends have it: the streams that are open on it, and how it ends.
import type { Duplex } from "node:stream";
import type { Deadlines, Waiting } from "../deadlines.ts";
import type { Limits } from "../limits.ts";
import type { Break } from "../wire.ts";
import type { Allowance } from "./allowance.ts";
import { ENHANCE_YOUR_CALM, FLOW_CONTROL_ERROR, NO_ERROR, PROTOCOL_ERROR, STREAM_CLOSED } from "./codes.ts";
import { Cut } from "./cut.ts";
import { FIRST_WINDOW, INITIAL_WINDOW_SIZE, MAX_HEADER_LIST_SIZE } from "./frames.ts";
import { Encoder } from "./hpack/encoder.ts";
import { Output } from "./output.ts";
import { PeerSettings } from "./peer-settings.ts";
import { Reader } from "./reader.ts";
import type { Carried, Carrier, Told } from "./roles.ts";
import { Sender } from "./sender.ts";

/** A class, as both ends of a connection are one, and each connection has it. */
export abstract class Link implements Carrier, Told, Waiting {
  abstract readonly isClient: boolean;
  readonly limits: Limits;
  readonly deadlines: Deadlines;
  readonly socket: Duplex;
  readonly out: Output;
  readonly sender: Sender;
  readonly encoder = new Encoder();
  readonly peer = new PeerSettings();
  dead = false;
  dueAt = Infinity;
  /** What the peer has said that it goes for. */
  protected peerCode: number | undefined = undefined;
  protected readonly streams = new Map<number, Carried>();
  /** The highest id of a stream that there was. */
  protected lastId = 0;
  /** The highest of those that the peer has opened and we have looked at: what a GOAWAY says. */
  protected lastTaken = 0;
  readonly #resets: Allowance;
  readonly #reader: Reader;
  readonly #cut = new Cut();
  #held = false;
  #stallsAt = Infinity;
  #headAt = Infinity;
  #phaseAt = Infinity;
  /** Until when it is read at most, once it is over. */
  #lingersTo = Infinity;

  /** `resets`: how often the peer may make us reset a stream. */
  constructor(socket: Duplex, limits: Limits, deadlines: Deadlines, resets: Allowance) {
    this.socket = socket;
    this.limits = limits;
    this.deadlines = deadlines;
    this.#resets = resets;
    this.out = new Output(socket, {
      blocked: () => {
        if (this.#stallsAt !== Infinity) return; // what is added to what waits does not make it go
        this.#stallsAt = deadlines.after(limits.stallMs);
        this.#due();
      },
      free: () => this.#freed(),
    });
    this.sender = new Sender(this.out);
    this.#reader = new Reader(this);
  }

  abstract opened(id: number, list: string[], fault: string, ended: boolean): void;
  abstract isIdle(id: number): boolean;
  abstract ponged(): void;
  abstract told(last: number, code: number): void;
  /** Bytes that we hold because the peer takes nothing. */
  protected abstract owed(): number;
  /** The peer's SETTINGS have come. */
  protected abstract took(): void;
  /** The time that {@link wait} has set is over. */
  protected abstract expired(): void;
  /** A stream is gone; `byPeer`: it was the peer who has reset it. */
  protected abstract left(flow: Carried, byPeer: boolean): void;
  /** The connection is gone. */
  protected abstract gone(why: Break): void;
  /** Whether a stream of this id was left out by the peer. */
  protected abstract wasSkipped(id: number): boolean;

  /** Says what we are, and reads what comes. `settings`: numbers and values by turns. */
  protected begin(settings: readonly number[]): void {
    const { socket, limits } = this;
    this.out.settings([...settings, INITIAL_WINDOW_SIZE, limits.streamWindow, MAX_HEADER_LIST_SIZE, limits.headBytes]);
    this.out.window(0, limits.connectionWindow - FIRST_WINDOW);
    socket.on("data", (chunk: Buffer) => this.read(chunk));
    socket.on("end", () => socket.destroy()); // half of a connection is none
    socket.on("error", (cause) => this.#over({ why: "reset", cause }));
    socket.on("close", () => {
      this.deadlines.remove(this);
      this.#over({ why: "reset" });
    });
    this.deadlines.add(this);
  }

  protected read(chunk: Buffer): void {
    this.#reader.read(chunk);
    if (this.dead) this.#linger();
    if (this.#held || this.dead || this.owed() <= this.limits.waitingBytes || !this.out.full) return;
    this.#held = true; // who does not read what we send is not read either
    this.socket.pause();
  }

  at(id: number): Carried | undefined {
    return this.streams.get(id);
  }

  protected add(id: number, flow: Carried): void {
    this.streams.set(id, flow);
    flow.takenBy(this, id);
  }

  leave(flow: Carried, byPeer = false): void {
    if (!this.streams.delete(flow.id)) return;
    this.sender.forget(flow);
    this.#reader.leave(flow);
    this.left(flow, byPeer);
  }

  reset(flow: Carried, code: number): void {
    if (this.dead || this.at(flow.id) !== flow) return;
    this.resetId(flow.id, code);
    this.leave(flow);
  }

  protected resetId(id: number, code: number): void {
    this.out.reset(id, code);
    this.#cut.add(id);
  }

  crossed(id: number): boolean {
    return this.#cut.cross(id);
  }

  lateCode(id: number): number {
    if (this.#cut.has(id)) return NO_ERROR;
    return this.wasSkipped(id) ? PROTOCOL_ERROR : STREAM_CLOSED;
  }

  blame(): void {
    if (!this.#resets.spend()) this.calm("resets");
  }

  grow(bytes: number): boolean {
    return this.sender.grow(bytes);
  }

  useless(): void {
    this.#reader.useless();
  }

  settled(more: number): void {
    this.encoder.limit(this.peer.lowestTable);
    this.encoder.limit(this.peer.table);
    if (more !== 0)
      for (const flow of this.streams.values())
        if (!flow.grow(more)) return this.fail(FLOW_CONTROL_ERROR, "the window of a stream is too large");
    this.took();
  }

  headDue(more: boolean): void {
    if (more === (this.#headAt !== Infinity)) return;
    this.#headAt = more ? this.deadlines.after(this.limits.headMs) : Infinity;
    this.#due();
  }

  /** How long the connection may be as it is; Infinity: for ever. */
  protected wait(ms: number): void {
    const at = ms === Infinity ? ms : this.deadlines.after(ms);
    if (at === this.#phaseAt) return;
    this.#phaseAt = at;
    this.#due();
  }

  late(): void {
    const now = this.deadlines.after(0);
    if (Math.min(this.#stallsAt, this.#headAt) <= now) return this.destroy({ why: "slow" });
    const over = this.#phaseAt <= now;
    if (over) this.#phaseAt = Infinity;
    this.#due();
    if (!over) return;
    if (this.dead) this.socket.destroy();
    else this.expired();
  }

  fail(code: number, what: string, why: Break = { why: "protocol", cause: new Error(`HTTP/2: ${what}`) }): void {
    if (this.dead) return;
    this.out.goaway(this.lastTaken, code, what);
    this.close(why, this.limits.lingerMs);
  }

  calm(what: string): void {
    this.fail(ENHANCE_YOUR_CALM, `too many ${what}`, { why: "reset", cause: new Error(`HTTP/2: too many ${what}`) });
  }

  /**
   * Ends the connection. What still comes is thrown away for a while, so that the peer sees what was said last. `most`: how long that may take with a peer that
   * reads slowly.
   */
  protected close(why: Break, most = this.limits.stallMs): void {
    this.#over(why);
    this.out.flush();
    this.#stallsAt = this.#headAt = Infinity;
    this.#lingersTo = this.deadlines.after(most);
    this.socket.end(() => this.#linger());
    this.socket.resume();
    this.#linger();
  }

  #linger(): void {
    const { socket, deadlines, limits } = this;
    this.#phaseAt = socket.writableLength > 0 ? this.#lingersTo : Math.min(this.#lingersTo, deadlines.after(limits.lingerMs));
    this.#due();
  }

  /** Breaks the connection. */
  destroy(why: Break): void {
    this.#over(why);
    this.socket.destroy();
  }

  #over(reason: Break): void {
    if (this.dead) return;
    const why = this.peerCode === undefined ? reason : { ...reason, code: this.peerCode };
    this.dead = true;
    this.#reader.stop();
    this.sender.clear();
    const flows = [...this.streams.values()];
    this.streams.clear();
    for (const flow of flows) {
      this.left(flow, false);
      flow.lost(why);
    }
    this.gone(why);
  }

  #freed(): void {
    this.#stallsAt = Infinity;
    this.#due();
    if (this.#held) {
      this.#held = false;
      this.socket.resume();
    }
    this.sender.pump();
  }

  #due(): void {
    this.dueAt = Math.min(this.#stallsAt, this.#headAt, this.#phaseAt);
  }
}

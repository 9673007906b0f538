// Flow: an HTTP/2 stream, as both of its ends have it: the message that comes in, to its receiver as it can take it, and how the stream breaks off.
import { type Break, type BreakReason, type Fields, NO_FIELDS, type Receiver, type Stream } from "../wire.ts";
import { breakBy, codeOf, INTERNAL_ERROR, PROTOCOL_ERROR } from "./codes.ts";
import { areTrailers } from "./fields.ts";
import { Held } from "./held.ts";
import { Outgoing } from "./outgoing.ts";
import type { Carried, Carrier } from "./roles.ts";

/** A class, as its base is one. */
export abstract class Flow extends Outgoing implements Stream, Carried {
  /** All that has come was given, and so was its end. */
  protected whole = false;
  /** How long the message that comes is by its own word; -1: it says nothing. */
  protected length = -1;
  /** How much of it has come. */
  protected got = 0;
  /** Whose reset is a cancellation. */
  protected abstract readonly asked: boolean;
  #receiver: Receiver | undefined = undefined;
  /** A break before there was anybody to be told. */
  #untold: Break | undefined = undefined;
  /** The receiver is told nothing more. */
  #silent = false;
  #paused = false;
  #giving = false;
  /** What has come and was not given. */
  #held: Held | undefined = undefined;
  #trailersIn: Fields = NO_FIELDS;
  /** Bytes that may still come, and those that were taken since that was said. */
  #window = 0;
  #taken = 0;

  reset(why: BreakReason): void {
    this.#untold = undefined;
    this.silence();
    this.close(codeOf(why));
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    this.#give();
  }

  override takenBy(link: Carrier, id: number): void {
    super.takenBy(link, id);
    this.#window = link.limits.streamWindow;
  }

  /** Who is told of a break, of one too that there was before, and of what was drained. */
  protected tellTo(receiver: Receiver): void {
    this.#receiver = receiver;
    const broken = this.#untold;
    if (broken !== undefined) {
      queueMicrotask(() => {
        if (this.#untold === broken) receiver.broken(broken);
      });
    } else if (this.#held !== undefined || this.come) queueMicrotask(() => this.#give());
  }

  protected get silent(): boolean {
    return this.#silent;
  }

  protected silence(): void {
    this.#silent = true;
    this.#held = undefined;
    this.drop();
  }

  /** Resets it, if it is there still. */
  protected close(code: number): void {
    this.link?.reset(this, code);
  }

  /** Breaks it off from here, and tells so. */
  fail(why: Break, code = INTERNAL_ERROR): void {
    this.tell(why);
    this.close(code);
  }

  /** The peer has done on it what is not allowed. */
  faulty(code: number, what: string): void {
    this.fail({ why: "protocol", cause: new Error(`HTTP/2: ${what}`) }, code);
    this.link?.blame();
  }

  /** A header list has come. `fault`: what is wrong with its fields. */
  abstract headed(list: string[], fault: string, ended: boolean): void;

  /** Trailers have come. */
  protected trailed(list: string[], fault: string, ended: boolean): void {
    if (fault === "too-large" || fault === "too-many") {
      this.fail({ why: "too-large" });
      this.link?.blame();
    } else if (fault !== "" || !ended || !areTrailers(list)) this.faulty(PROTOCOL_ERROR, "trailers that are not allowed");
    else this.finished(list);
  }

  /** Whether so many bytes may come; what is padding among them is given back at once. */
  admits(bytes: number, padding: number): boolean {
    if (bytes > this.#window) return false;
    this.#window -= bytes;
    if (padding > 0) this.#consumed(padding);
    return true;
  }

  took(chunk: Uint8Array): void {
    this.got += chunk.length;
    if (this.length >= 0 && this.got > this.length) return this.faulty(PROTOCOL_ERROR, "a body that is longer than it says");
    const receiver = this.#receiver;
    if (this.#silent) this.unwanted(chunk.length);
    else if (receiver === undefined || this.#paused || this.#held !== undefined || this.#giving) this.#hold(chunk);
    else {
      receiver.data(chunk);
      this.#consumed(chunk.length);
    }
  }

  /** END_STREAM has come. */
  finished(trailers: Fields): void {
    if (this.length >= 0 && this.got !== this.length) return this.faulty(PROTOCOL_ERROR, "a body that is shorter than it says");
    this.come = true;
    this.#trailersIn = trailers;
    this.received();
    this.grown();
    this.#give();
    if (this.out) this.over();
  }

  /** The peer has reset it. */
  resetBy(code: number): void {
    this.lost(breakBy(code, this.asked));
  }

  /** It is gone, and so is what was not sent. */
  lost(why: Break): void {
    this.tell(why);
  }

  protected override over(): void {
    this.link?.leave(this);
  }

  protected override drained(): void {
    if (!this.#silent) this.#receiver?.drained();
  }

  protected tell(why: Break): void {
    if (this.#silent) return;
    this.silence();
    if (this.#receiver === undefined) this.#untold = why;
    else this.#receiver.broken(why);
  }

  /** All of the message that comes has come. */
  protected abstract received(): void;
  /** Bytes have come of which nobody is told. */
  protected unwanted(bytes: number): void {
    this.#consumed(bytes);
  }

  /** What has come and was not given, up to about so many bytes. */
  protected peek(bytes: number): Buffer {
    return this.#held?.peek(bytes) ?? Buffer.alloc(0);
  }

  /** More has come that nobody has been given. */
  protected grown(_chunk?: Uint8Array): void {
    // for whoever looks into it
  }

  #hold(chunk: Uint8Array): void {
    (this.#held ??= new Held()).push(chunk);
    this.grown(chunk);
  }

  #give(): void {
    if (this.#giving) return;
    const receiver = this.#receiver;
    if (receiver === undefined) return;
    this.#giving = true;
    while (this.#held !== undefined && !this.#paused && !this.#silent) {
      const chunk = this.#held.shift();
      if (chunk === undefined) {
        this.#held = undefined;
        break;
      }
      receiver.data(chunk);
      this.#consumed(chunk.length);
    }
    this.#giving = false;
    if (!this.come || this.whole || this.#held !== undefined || this.#paused || this.#silent) return;
    this.whole = true;
    receiver.end(this.#trailersIn);
  }

  #consumed(bytes: number): void {
    const { link } = this;
    this.#taken += bytes;
    if (link === undefined || this.come || link.dead || this.#taken * 2 < link.limits.streamWindow) return;
    if (link.at(this.id) === this) link.out.window(this.id, this.#taken);
    this.#window += this.#taken;
    this.#taken = 0;
  }
}

// Outgoing: the message that goes out on an HTTP/2 stream: chunks as the windows allow them, trailers and the end.
import { type Break, type Fields, NO_FIELDS } from "../wire.ts";
import { INTERNAL_ERROR } from "./codes.ts";
import { addFields } from "./fields.ts";
import { MOST } from "./frames.ts";
import type { Carrier, Sending } from "./roles.ts";

/** A class, and the base of a stream, as there is one for each message: its methods are no objects of their own then. */
export abstract class Outgoing implements Sending {
  id = 0;
  /** END_STREAM has come. */
  come = false;
  protected link: Carrier | undefined = undefined;
  /** The message is complete; all of it need not be out. */
  protected ended = false;
  /** END_STREAM is out. */
  protected out = false;
  /** Bytes that may go out, as far as the connection lets them. */
  #window = 0;
  /** What waits for it. */
  #queue: Uint8Array[] | undefined = undefined;
  #trailers: Fields = NO_FIELDS;
  /** It is told when more may come. */
  #blocked = false;

  write(chunk: Uint8Array): boolean {
    if (this.ended || chunk.length === 0) return true;
    const { link } = this;
    let rest: Uint8Array | undefined = chunk;
    if (link !== undefined && this.#queue === undefined) {
      rest = this.#send(link, chunk);
      if (rest === undefined && !link.out.full) return true;
    }
    if (rest !== undefined) (this.#queue ??= []).push(rest);
    this.#blocked = true;
    link?.sender.await(this);
    this.stalled();
    return false;
  }

  end(trailers: Fields = NO_FIELDS): void {
    if (this.ended) return;
    this.ended = true;
    this.#trailers = trailers;
    const { link } = this;
    if (link === undefined) return;
    if (this.#queue === undefined) this.#end(link);
    else this.stalled();
  }

  /** It goes over a connection. */
  takenBy(link: Carrier, id: number): void {
    this.link = link;
    this.id = id;
    this.#window = link.peer.window;
  }

  /** Sends what was said before there was a connection. */
  protected started(link: Carrier): void {
    if (this.#queue !== undefined) {
      link.sender.await(this);
      while (this.#queue !== undefined && !link.out.full && this.pump());
    } else if (this.ended && !this.out) this.#end(link);
  }

  /** The peer takes so many bytes more. False: beyond what there can be. */
  grow(bytes: number): boolean {
    this.#window += bytes;
    if (this.#window > MOST) return false;
    while (this.#queue !== undefined && this.link?.out.full === false && this.pump());
    return true;
  }

  /** Sends a frame of what waits, or tells that nothing does. False: there was nothing that could be sent. */
  pump(): boolean {
    const { link } = this;
    const queue = this.#queue;
    if (link === undefined) return false;
    if (queue !== undefined) {
      const [first = NOTHING] = queue;
      const left = this.#sendOne(link, first);
      if (left === first) return false;
      this.stalled();
      if (left !== undefined) queue[0] = left;
      else if (queue.length > 1) queue.shift();
      else this.#queue = undefined;
      if (this.#queue !== undefined) return true;
    }
    link.sender.forget(this);
    this.flowed();
    if (this.ended) {
      if (!this.out) this.#end(link);
    } else if (this.#blocked) {
      this.#blocked = false;
      this.drained();
    }
    return true;
  }

  /** Breaks the stream off from here, and tells so. */
  abstract fail(why: Break, code?: number): void;
  /** More may be written. */
  protected abstract drained(): void;
  /** All of it is out. */
  protected abstract sent(): void;
  /** Both messages are complete. */
  protected abstract over(): void;
  /** Something waits to be taken by the peer. */
  protected stalled(): void {
    // for whoever looks after the time
  }
  /** Nothing does any more. */
  protected flowed(): void {
    // for whoever looks after the time
  }

  /** What waits is not sent. */
  protected drop(): void {
    this.ended = true;
    this.#queue = undefined;
    this.link?.sender.forget(this); // or its turn would say that the message is complete
  }

  /** END_STREAM was sent. */
  protected outIs(): void {
    this.out = true;
    this.ended = true;
    this.sent();
    if (this.come) this.over();
  }

  /** Gives what could not be sent. */
  #send(link: Carrier, chunk: Uint8Array): Uint8Array | undefined {
    let rest: Uint8Array | undefined = chunk;
    while (rest !== undefined && !link.out.full) {
      const left: Uint8Array | undefined = this.#sendOne(link, rest);
      if (left === rest) break;
      rest = left;
    }
    return rest;
  }

  /** Sends one frame of it, as large as it may be. */
  #sendOne(link: Carrier, chunk: Uint8Array): Uint8Array | undefined {
    const most = Math.min(this.#window, link.sender.window, link.peer.frame);
    if (most <= 0) return chunk;
    const part = chunk.length <= most ? chunk : chunk.subarray(0, most);
    this.#window -= part.length;
    link.sender.window -= part.length;
    link.out.data(this.id, part, false);
    return part === chunk ? undefined : chunk.subarray(most);
  }

  #end(link: Carrier): void {
    const trailers = this.#trailers;
    if (trailers.length > 0) {
      try {
        link.out.headers(this.id, addFields([], trailers), true, link.encoder, link.peer.frame);
      } catch (error) {
        return this.fail({ why: "protocol", cause: error }, INTERNAL_ERROR);
      }
    } else if (!link.out.endData(this.id)) link.out.data(this.id, NOTHING, true);
    this.outIs();
  }
}

const NOTHING = new Uint8Array(0);

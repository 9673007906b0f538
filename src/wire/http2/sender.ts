// Sender: the streams of a connection that have more to send than they may, and the window that they share.
import { FIRST_WINDOW, MOST } from "./frames.ts";
import type { Output } from "./output.ts";
import type { Sending, Turns } from "./roles.ts";

export class Sender implements Turns {
  /** Bytes of bodies that may go out over the connection. */
  window = FIRST_WINDOW;
  readonly #out: Output;
  readonly #waiting = new Set<Sending>();
  #pumping = false;

  constructor(out: Output) {
    this.#out = out;
  }

  /** It is told when it can send. */
  await(one: Sending): void {
    this.#waiting.add(one);
  }

  forget(one: Sending): void {
    this.#waiting.delete(one);
  }

  clear(): void {
    this.#waiting.clear();
  }

  /** The window has grown. False: beyond what there can be. */
  grow(bytes: number): boolean {
    this.window += bytes;
    if (this.window > MOST) return false;
    this.pump();
    return true;
  }

  /** Lets those who wait send by turns, a frame each, as long as anything can go out. */
  pump(): void {
    if (this.#pumping) return;
    this.#pumping = true;
    for (let goes = true; goes && !this.#out.full;) {
      goes = false;
      for (const one of this.#waiting) {
        if (this.#out.full) break;
        if (one.pump()) goes = true;
      }
    }
    this.#pumping = false;
  }
}

// Relay: what comes of a response behind its head, held until somebody takes it, and passed on from then on.
import type { Failure } from "../../call/outcome.ts";
import type { Fields, Stream } from "../../wire/wire.ts";

/** Who takes it. */
export interface Sink {
  /** False: no more until {@link Relay.resume}. */
  body(chunk: Uint8Array): boolean;
  ended(trailers: Fields): void;
  /** What was switched over to has ended in this direction, and goes on in the other. */
  halfClosed(): void;
  /** It broke off: by the upstream, or by a layer. */
  cut(why: Failure<never>): void;
}

/** How it ended. */
export type Ending = { readonly trailers: Fields; readonly half: boolean } | { readonly cut: Failure<never> };

/** What is held until it is taken: a few turns of promises lie between, and with a hedge the time until the other copy has failed. */
const MOST_HELD = 65_536;

/** A class, since there is one for every response. */
export class Relay {
  readonly #stream: Stream;
  #sink: Sink | undefined = undefined;
  #held: Uint8Array[] | undefined = undefined;
  #bytes = 0;
  #ending: Ending | undefined = undefined;
  #paused = false;

  constructor(stream: Stream) {
    this.#stream = stream;
  }

  body(chunk: Uint8Array): void {
    if (this.#sink !== undefined) {
      if (!this.#sink.body(chunk)) this.#pause();
      return;
    }
    (this.#held ??= []).push(chunk);
    this.#bytes += chunk.byteLength;
    if (this.#bytes > MOST_HELD) this.#pause();
  }

  over(ending: Ending): void {
    if (this.#sink === undefined) this.#ending = ending;
    else told(this.#sink, ending);
  }

  to(sink: Sink): void {
    this.#sink = sink;
    const held = this.#held;
    this.#held = undefined;
    let free = true;
    if (held !== undefined) for (const chunk of held) free = sink.body(chunk);
    if (this.#ending !== undefined) return told(sink, this.#ending);
    return free ? this.resume() : this.#pause();
  }

  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.#stream.resume();
  }

  #pause(): void {
    if (this.#paused) return;
    this.#paused = true;
    this.#stream.pause();
  }
}

function told(sink: Sink, ending: Ending): void {
  if ("cut" in ending) sink.cut(ending.cut);
  else if (ending.half) sink.halfClosed();
  else sink.ended(ending.trailers);
}

// Tunnel pipe: what goes through a CONNECT over HTTP/2, as something on which HTTP can be served.
import { Duplex } from "node:stream";
import type { Pipe } from "../serve.ts";
import type { Receiver, Stream } from "../wire.ts";

export class TunnelPipe extends Duplex implements Pipe {
  readonly #stream: Stream;
  #taken: (() => void) | undefined = undefined;
  /** Receives what comes through the tunnel. */
  readonly receiver: Receiver = {
    data: (chunk) => {
      if (!this.push(chunk)) this.#stream.pause();
    },
    end: () => void this.push(null),
    broken: () => void this.destroy(),
    drained: () => {
      const taken = this.#taken;
      this.#taken = undefined;
      taken?.();
    },
  };

  constructor(stream: Stream) {
    super({ allowHalfOpen: true });
    this.#stream = stream;
  }

  resetAndDestroy(): void {
    this.destroy();
  }

  override _read(): void {
    this.#stream.resume();
  }

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    // a copy: whoever is told that it was taken uses the buffer again
    if (this.#stream.write(Buffer.from(chunk))) done();
    else this.#taken = done;
  }

  override _final(done: () => void): void {
    this.#stream.end();
    done();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#stream.reset("cancelled");
    done(error);
  }
}

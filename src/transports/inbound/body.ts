// Body: reads the whole body of a request and gives it back, so that whoever reads it next finds it untouched.
import type { IncomingMessage } from "node:http";
import type { Signal } from "../../call/signal.ts";

/** `taken`: somebody has read of it already; `gone`: it will not come to its end. */
export type Body = Uint8Array | "too-long" | "taken" | "gone";

/**
 * What is read is put back before the stream has said that it has ended: that much a stream of Node's allows. `request.complete` is Node's word that no more
 * will come.
 */
export function wholeBody(request: IncomingMessage, most: number, signal: Signal | undefined): Promise<Body> {
  if (request.readableDidRead || request.readableEnded) return Promise.resolve("taken");
  if (request.destroyed || signal?.aborted === true) return Promise.resolve("gone");
  if (Number(request.headers["content-length"]) > most) return Promise.resolve("too-long");
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    const settle = (body: Body): void => {
      request.off("readable", read).off("close", gone).off("error", gone);
      signal?.removeEventListener("abort", gone);
      resolve(body);
    };
    const gone = (): void => settle("gone");
    function read(): void {
      while (request.readableLength > 0) {
        // so many and no more: to ask for what is not there would end the stream
        const chunk = request.read(request.readableLength) as Buffer; // the cast: nobody has set an encoding, since nobody has read
        chunks.push(chunk);
        bytes += chunk.byteLength;
        if (bytes > most) return settle("too-long");
      }
      if (!request.complete) return;
      const whole = Buffer.concat(chunks);
      if (bytes > 0) request.unshift(whole);
      settle(whole);
    }
    request.on("readable", read).once("close", gone).once("error", gone);
    signal?.addEventListener("abort", gone, { once: true });
  });
}

// Composes layers into one function; done once per stack, never per call.
import type { Layer, Next } from "./call.ts";

/** The last step of every stack: the transport that brought the call sends it. */
const send: Next<unknown> = (call) => call.send(call);

/** The layers as one function, the first outermost. */
export function compose(layers: readonly Layer[]): Next<unknown> {
  return layers.reduceRight<Next<unknown>>((next, layer) => layer(next), send);
}

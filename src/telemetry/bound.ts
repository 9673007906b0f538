// Bound: histograms together with their attributes, made once for each combination of words, so that a call builds and hashes none.
import type { Attributes, Histogram } from "@opentelemetry/api";

/** Takes one value more, under attributes that it knows. */
export interface Recorder {
  record(value: number): void;
}

/** A histogram that can be told its attributes once and for all: those of the shim can. */
export interface BindableHistogram extends Histogram {
  bind(attributes: Attributes): Recorder;
}

const isBindable = (histogram: Histogram): histogram is BindableHistogram => "bind" in histogram;

export function bound(histogram: Histogram, attributes: Attributes): Recorder {
  return isBindable(histogram) ? histogram.bind(attributes) : { record: (value) => histogram.record(value, attributes) };
}

/** As many attribute sets as an SDK keeps of one instrument; what comes beyond is made anew each time. */
const MOST = 2_000;

/** What was made for two words, so that it is made once. */
export interface Kept<V> {
  get(first: string, second: string): V | undefined;
  /** Gives the value. */
  keep(first: string, second: string, value: V): V;
}

export function newKept<V>(): Kept<V> {
  const all = new Map<string, Map<string, V>>();
  let count = 0;
  return {
    get: (first, second) => all.get(first)?.get(second),
    keep: (first, second, value) => {
      if (count >= MOST) return value;
      count++;
      const known = all.get(first);
      if (known === undefined) all.set(first, new Map([[second, value]]));
      else known.set(second, value);
      return value;
    },
  };
}

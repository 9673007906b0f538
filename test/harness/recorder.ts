// Recorder: a receiver that writes down what it is told.
import type { Break, Fields, ResponseHead, ResponseReceiver } from "../../src/wire/wire.ts";

export interface Recorder extends ResponseReceiver {
  /** What was told, in order: `connected`, `head 200`, `data ok`, `end`, `broken reset`, ... */
  readonly told: string[];
  readonly heads: ResponseHead[];
  readonly trailers: Fields[];
  /** Once it is told its end or its break. */
  readonly over: Promise<Break | undefined>;
}

export function recorder(watch: Partial<ResponseReceiver> = {}): Recorder {
  const told: string[] = [];
  const heads: ResponseHead[] = [];
  const trailers: Fields[] = [];
  const { promise, resolve } = Promise.withResolvers<Break | undefined>();
  return {
    told,
    heads,
    trailers,
    over: promise,
    connected() {
      told.push("connected");
      watch.connected?.();
    },
    inform: (head) => void told.push(`inform ${head.status}`),
    head(head, ended) {
      told.push(`head ${head.status}${ended ? " ended" : ""}`);
      heads.push(head);
      if (ended) resolve(undefined);
      watch.head?.(head, ended);
    },
    data(chunk) {
      told.push(`data ${Buffer.from(chunk).toString("latin1")}`);
      watch.data?.(chunk);
    },
    end(some) {
      told.push("end");
      trailers.push(some);
      resolve(undefined);
    },
    broken(why) {
      told.push(`broken ${why.why}`);
      resolve(why);
    },
    drained() {
      told.push("drained");
      watch.drained?.();
    },
  };
}

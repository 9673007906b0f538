// Recorded: a request that is sent over the wire by itself, and all that is told of it.
import type { Break, Fields, RequestHead, ResponseHead, Stream, Upstreams } from "../../src/wire/wire.ts";

export interface Recorded {
  readonly stream: Stream;
  /** In the order in which it was told: `connected`, `103`, `200`, `200!` (complete), `data`, `end`, `broken`, `drained`. */
  readonly told: readonly string[];
  readonly heads: readonly ResponseHead[];
  body(): string;
  readonly trailers: { fields: Fields };
  /** Settles at the end or the break; the break, if it is one. */
  readonly over: Promise<Break | undefined>;
  /** Settles when this was told for the first time. */
  until(what: string): Promise<void>;
}

export const plainHead = (more: Partial<RequestHead> = {}): RequestHead => ({
  method: "GET",
  scheme: "http",
  authority: "a.internal",
  path: "/",
  fields: [],
  upgrade: undefined,
  ...more,
});

/** Sends a request, `ended` or not, to an origin over HTTP/2. */
export function recorded(upstreams: Upstreams, origin: URL, head: RequestHead = plainHead(), ended = true): Recorded {
  const told: string[] = [];
  const heads: ResponseHead[] = [];
  const trailers: { fields: Fields } = { fields: [] };
  const waiting: { readonly what: string; readonly resolve: () => void }[] = [];
  const over = Promise.withResolvers<Break | undefined>();
  let text = "";
  const tell = (what: string): void => {
    told.push(what);
    for (const wait of waiting) if (wait.what === what) wait.resolve();
  };
  const stream = upstreams.open({ origin, version: "2" }, head, ended, {
    connected: () => tell("connected"),
    inform: (interim) => tell(String(interim.status)),
    head: (response, complete) => {
      heads.push(response);
      tell(`${response.status}${complete ? "!" : ""}`);
      if (complete) over.resolve(undefined);
    },
    data: (chunk) => {
      text += Buffer.from(chunk).toString("latin1");
      tell("data");
    },
    end: (fields) => {
      trailers.fields = fields;
      tell("end");
      over.resolve(undefined);
    },
    broken: (why) => {
      tell("broken");
      over.resolve(why);
    },
    drained: () => tell("drained"),
  });
  return {
    stream,
    told,
    heads,
    trailers,
    body: () => text,
    over: over.promise,
    until: (what) => (told.includes(what) ? Promise.resolve() : new Promise((resolve) => waiting.push({ what, resolve }))),
  };
}

// Exchange: one RPC of any kind, as the interop cases drive it; each client library is brought into this shape once.

export type MethodName =
  | "emptyCall"
  | "unaryCall"
  | "streamingOutputCall"
  | "streamingInputCall"
  | "fullDuplexCall"
  | "halfDuplexCall"
  | "unimplementedCall";

export interface Payload {
  readonly body: Uint8Array;
}

/** The fields of all requests together. */
export interface Request {
  readonly responseSize?: number;
  readonly responseParameters?: readonly { readonly size: number }[];
  readonly payload?: Payload;
  readonly responseStatus?: { readonly code: number; readonly message: string };
}

/** The fields of all responses together. */
export interface Response {
  readonly payload?: Payload | null;
  readonly aggregatedPayloadSize?: number;
}

export interface Status {
  readonly code: number;
  readonly details: string;
}

/** Field name to value; names that end in `-bin` have bytes. */
export type Fields = Readonly<Record<string, string | Uint8Array>>;

export interface OpenOptions {
  readonly fields?: Fields;
  readonly timeoutMs?: number;
}

export interface Exchange {
  send(request: Request): void;
  /** No further request will come. */
  end(): void;
  cancel(): void;
  /** The next response; `undefined`: there is none. Never rejects: the status tells. */
  read(): Promise<Response | undefined>;
  readonly status: Promise<Status>;
  /** The response's headers and trailers, by name. Known once the status is. */
  header(name: string): string | Uint8Array | undefined;
  trailer(name: string): string | Uint8Array | undefined;
}

/** A client of the interop service. */
export interface InteropClient {
  open(method: MethodName, options?: OpenOptions): Exchange;
  /** The method of the service that the server does not have. */
  openUnimplementedService(): Exchange;
}

/** A queue of what one side writes and the other reads. */
export interface Queue<T> extends AsyncIterable<T> {
  push(value: T): void;
  close(): void;
  next(): Promise<T | undefined>;
}

export function newQueue<T>(): Queue<T> {
  const values: T[] = [];
  const waiting: ((value: T | undefined) => void)[] = [];
  let closed = false;
  const next = (): Promise<T | undefined> => {
    if (values.length > 0 || closed) return Promise.resolve(values.shift());
    return new Promise((resolve) => void waiting.push(resolve));
  };
  return {
    push: (value) => {
      const first = waiting.shift();
      if (first === undefined) values.push(value);
      else first(value);
    },
    close: () => {
      closed = true;
      for (const resolve of waiting.splice(0)) resolve(undefined);
    },
    next,
    [Symbol.asyncIterator]: async function* () {
      for (let value = await next(); value !== undefined; value = await next()) yield value;
    },
  };
}

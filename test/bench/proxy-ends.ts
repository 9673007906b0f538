// The two ends of a proxy without sockets: exchanges that come, and upstreams that answer them, as the wire would.
import type { Exchange, Fields, Receiver, RequestHead, ResponseHead, ResponseReceiver, Stream, Upstreams } from "../../src/wire/wire.ts";

/** One request and its answer. */
export interface Sample {
  readonly version: Exchange["version"];
  readonly head: RequestHead;
  /** `undefined`: it has none. */
  readonly body: Uint8Array | undefined;
  readonly answer: ResponseHead;
  readonly answerBody: Uint8Array;
  readonly trailers: Fields;
}

const AUTHORITY = "127.0.0.1:9000";
const MESSAGE = Buffer.from([0, 0, 0, 0, 5, 104, 101, 108, 108, 111]);

/** What clients and servers send of themselves, so as a proxy finds it. */
export const samples: Readonly<Record<"http/1.1" | "grpc", Sample>> = {
  "http/1.1": {
    version: "1.1",
    head: {
      method: "GET",
      scheme: "http",
      authority: AUTHORITY,
      path: "/orders/1?full=1",
      fields: ["User-Agent", "premesh-bench", "Accept", "*/*", "Accept-Encoding", "gzip, deflate, br", "Connection", "keep-alive"],
      upgrade: undefined,
    },
    body: undefined,
    answer: {
      status: 200,
      fields: ["Server", "nginx", "Date", "Thu, 26 Nov 2026 12:00:00 GMT", "Content-Type", "application/json", "Content-Length", "11"],
    },
    answerBody: Buffer.from('{"ok":true}'),
    trailers: [],
  },
  grpc: {
    version: "2",
    head: {
      method: "POST",
      scheme: "http",
      authority: AUTHORITY,
      path: "/bench.Bench/Unary",
      fields: ["content-type", "application/grpc", "te", "trailers", "user-agent", "grpc-bench", "grpc-accept-encoding", "identity,gzip"],
      upgrade: undefined,
    },
    body: MESSAGE,
    answer: { status: 200, fields: ["content-type", "application/grpc", "grpc-accept-encoding", "identity,gzip"] },
    answerBody: MESSAGE,
    trailers: ["grpc-status", "0", "grpc-message", ""],
  },
};

const connection: Exchange["connection"] = {
  remoteAddress: "127.0.0.1",
  remotePort: 40_000,
  localAddress: "127.0.0.1",
  localPort: 15_001,
  local: true,
  requests: 1,
};

class FakeExchange implements Exchange {
  readonly version: Exchange["version"];
  readonly head: RequestHead;
  readonly absolute = false;
  readonly bodyless: boolean;
  readonly connection = connection;
  receiver: Receiver | undefined = undefined;
  status = 0;
  readonly #over: (exchange: FakeExchange) => void;

  constructor({ version, head, body }: Sample, over: (exchange: FakeExchange) => void) {
    this.version = version;
    this.head = { ...head, fields: head.fields.slice() };
    this.bodyless = body === undefined;
    this.#over = over;
  }

  receive(receiver: Receiver): void {
    this.receiver = receiver;
  }
  respond(head: ResponseHead, ended: boolean): void {
    this.status = head.status;
    if (ended) this.#over(this);
  }
  end(): void {
    this.#over(this);
  }
  reset(): void {
    this.status = 0;
    this.#over(this);
  }
  write(): boolean {
    return true;
  }
  inform(): void {
    // nobody asks for it
  }
  accept(): void {
    // no tunnels here
  }
  pause(): void {
    // all of it is there
  }
  resume(): void {
    // all of it is there
  }
}

class FakeStream implements Stream {
  readonly receiver: ResponseReceiver;
  constructor(receiver: ResponseReceiver) {
    this.receiver = receiver;
  }
  write(): boolean {
    return true;
  }
  end(): void {
    // taken
  }
  reset(): void {
    // taken
  }
  pause(): void {
    // what is there has come
  }
  resume(): void {
    // what is there has come
  }
}

export interface Driven {
  readonly upstreams: Upstreams;
  /** So many exchanges at once, from their heads to the end of their answers. Rejects where one was not answered with 200. */
  readonly batch: (proxy: (exchange: Exchange) => void, count: number) => Promise<void>;
}

/** Upstreams that answer as soon as the loop turns, and exchanges for them. */
export function newDriven(sample: Sample): Driven {
  let opened: FakeStream[] = [];
  let left = 0;
  let failed = 0;
  const over = ({ status }: FakeExchange): void => {
    left--;
    if (status !== 200) failed++;
  };
  return {
    upstreams: {
      open: (_to, _head, _ended, receiver) => {
        const stream = new FakeStream(receiver);
        opened.push(stream);
        return stream;
      },
      close: () => Promise.resolve(),
    },
    batch: async (proxy, count) => {
      left = count;
      for (let index = 0; index < count; index++) {
        const exchange = new FakeExchange(sample, over);
        proxy(exchange);
        if (sample.body === undefined) continue;
        exchange.receiver?.data(sample.body);
        exchange.receiver?.end([]);
      }
      while (left > 0) {
        const streams = opened;
        opened = [];
        for (const { receiver } of streams) {
          receiver.connected();
          receiver.head({ status: sample.answer.status, fields: sample.answer.fields.slice() }, false);
          receiver.data(sample.answerBody);
          receiver.end(sample.trailers);
        }
        await new Promise(setImmediate);
      }
      if (failed > 0) throw new Error(`${failed} exchanges were not answered with 200`);
    },
  };
}

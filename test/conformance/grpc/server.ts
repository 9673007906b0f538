// The interop server, on grpc-js; it can kill the first attempt of every call before it answers.
import type { TestContext } from "node:test";
import {
  Metadata,
  Server,
  ServerCredentials,
  type sendUnaryData,
  type ServerDuplexStream,
  type ServerReadableStream,
  type ServerUnaryCall,
  type ServerWritableStream,
  status,
} from "@grpc/grpc-js";
import type { Request, Response } from "./exchange.ts";
import { TestService } from "./service.ts";

const ECHO_INITIAL = "x-grpc-test-echo-initial";
const ECHO_TRAILING = "x-grpc-test-echo-trailing-bin";

type Reading = ServerReadableStream<Request, Response>;
type Writing = ServerWritableStream<Request, Response>;
type Duplex = ServerDuplexStream<Request, Response>;
type Unary = ServerUnaryCall<Request, Response>;

/** How a first attempt ends: UNAVAILABLE, without headers, when it has sent so many messages or has ended. */
export interface Kill {
  readonly afterMessages: number;
}

export interface InteropServer {
  readonly address: string;
  /** How many messages each attempt that was killed has sent. */
  readonly killed: readonly number[];
}

const failure = (code: number, details: string): { code: number; details: string; metadata: Metadata } => ({
  code,
  details,
  metadata: new Metadata(),
});

function echoHeaders(call: Unary | Reading | Writing | Duplex): Metadata {
  const [initial] = call.metadata.get(ECHO_INITIAL);
  if (initial !== undefined) {
    const headers = new Metadata();
    headers.set(ECHO_INITIAL, initial);
    call.sendMetadata(headers);
  }
  const trailers = new Metadata();
  const [trailing] = call.metadata.get(ECHO_TRAILING);
  if (trailing !== undefined) trailers.set(ECHO_TRAILING, trailing);
  return trailers;
}

const outputs = ({ responseParameters = [] }: Request): Response[] =>
  responseParameters.map(({ size }) => ({ payload: { body: Buffer.alloc(size) } }));

const failed = ({ responseStatus: asked }: Request): { code: number; details: string } | undefined =>
  asked === undefined || asked === null || asked.code === 0 ? undefined : { code: asked.code, details: asked.message };

const answering = {
  emptyCall: (_call: Unary, callback: sendUnaryData<Response>): void => callback(null, {}),

  unaryCall: (call: Unary, callback: sendUnaryData<Response>): void => {
    const trailers = echoHeaders(call);
    const error = failed(call.request);
    if (error === undefined) callback(null, { payload: { body: Buffer.alloc(call.request.responseSize ?? 0) } }, trailers);
    else callback({ ...error, metadata: trailers });
  },

  streamingInputCall: (call: Reading, callback: sendUnaryData<Response>): void => {
    const trailers = echoHeaders(call);
    let size = 0;
    call.on("data", ({ payload }: Request) => (size += payload?.body.length ?? 0));
    call.on("end", () => callback(null, { aggregatedPayloadSize: size }, trailers));
  },

  streamingOutputCall: (call: Writing): void => {
    const trailers = echoHeaders(call);
    for (const output of outputs(call.request)) call.write(output);
    call.end(trailers);
  },

  fullDuplexCall: (call: Duplex): void => {
    const trailers = echoHeaders(call);
    call.on("data", (request: Request) => {
      const error = failed(request);
      if (error !== undefined) call.emit("error", { ...error, metadata: trailers });
      else for (const output of outputs(request)) call.write(output);
    });
    call.on("end", () => call.end(trailers));
  },

  halfDuplexCall: (call: Duplex): void => {
    const trailers = echoHeaders(call);
    const requests: Request[] = [];
    call.on("data", (request: Request) => requests.push(request));
    call.on("end", () => {
      for (const output of requests.flatMap(outputs)) call.write(output);
      call.end(trailers);
    });
  },
};

/** The same service, whose first attempts fail. */
function killing({ afterMessages }: Kill, killed: number[]): typeof answering {
  const isFirst = ({ metadata }: { metadata: Metadata }): boolean => metadata.get("grpc-previous-rpc-attempts").length === 0;
  const dead = failure(status.UNAVAILABLE, "killed before any answer");
  const reading = (call: Reading | Duplex, end: () => void): void => {
    let messages = 0;
    let over = false;
    const kill = (): void => {
      if (over) return;
      over = true;
      killed.push(messages);
      end();
    };
    call.on("data", () => {
      if (++messages >= afterMessages) kill();
    });
    call.on("end", kill);
    if (afterMessages === 0) kill();
  };
  const unary =
    (answer: (call: Unary, callback: sendUnaryData<Response>) => void) =>
    (call: Unary, callback: sendUnaryData<Response>): void => {
      if (!isFirst(call)) return answer(call, callback);
      killed.push(1);
      return callback(dead);
    };
  const duplex =
    (answer: (call: Duplex) => void) =>
    (call: Duplex): void => {
      if (isFirst(call)) reading(call, () => call.emit("error", dead));
      else answer(call);
    };
  return {
    emptyCall: unary(answering.emptyCall),
    unaryCall: unary(answering.unaryCall),
    streamingInputCall: (call, callback) => {
      if (isFirst(call)) reading(call, () => callback(dead));
      else answering.streamingInputCall(call, callback);
    },
    streamingOutputCall: (call) => {
      if (!isFirst(call)) return answering.streamingOutputCall(call);
      killed.push(1);
      return void call.emit("error", dead);
    },
    fullDuplexCall: duplex(answering.fullDuplexCall),
    halfDuplexCall: duplex(answering.halfDuplexCall),
  };
}

/** Listens on loopback until the test is over. */
export async function openInteropServer(t: TestContext, kill?: Kill): Promise<InteropServer> {
  const server = new Server();
  const killed: number[] = [];
  server.addService(TestService.service, kill === undefined ? answering : killing(kill, killed));
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });
  t.after(() => server.forceShutdown());
  return { address: `127.0.0.1:${port}`, killed };
}

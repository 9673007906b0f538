// The interop service over a client of Connect.
import { createClient, ConnectError, decodeBinaryHeader, encodeBinaryHeader, type Transport } from "@connectrpc/connect";
import {
  type Exchange,
  type InteropClient,
  type MethodName,
  newQueue,
  type OpenOptions,
  type Request,
  type Response,
  type Status,
} from "./exchange.ts";
import { descriptorOf } from "./service.ts";

interface CallOptions {
  readonly headers: Headers;
  readonly signal: AbortSignal;
  readonly timeoutMs: number | undefined;
  readonly onHeader: (headers: Headers) => void;
  readonly onTrailer: (trailers: Headers) => void;
}

type Method = (input: unknown, options: CallOptions) => Promise<Response> | AsyncIterable<Response>;

const takesStream = new Set<MethodName>(["streamingInputCall", "fullDuplexCall", "halfDuplexCall"]);

/** Each call has a transport of its own, so that whatever stands between may count connections. */
export function overConnect(transport: () => Promise<Transport>): InteropClient {
  const open = (service: "TestService" | "UnimplementedService", method: MethodName, given: OpenOptions = {}): Exchange =>
    exchange(
      // the cast: a client made from a descriptor without generated types
      async (input, options) =>
        (createClient(descriptorOf(service), await transport()) as unknown as Record<MethodName, Method>)[method](input, options),
      method,
      given,
    );
  return {
    open: (method, given) => open("TestService", method, given),
    openUnimplementedService: () => open("UnimplementedService", "unimplementedCall"),
  };
}

function exchange(
  call: (input: unknown, options: CallOptions) => Promise<Response | AsyncIterable<Response>>,
  method: MethodName,
  { fields = {}, timeoutMs }: OpenOptions,
): Exchange {
  const requests = newQueue<Request>();
  const responses = newQueue<Response>();
  const controller = new AbortController();
  const headers = new Headers();
  for (const [name, value] of Object.entries(fields)) headers.set(name, typeof value === "string" ? value : encodeBinaryHeader(value));
  const known = { headers: new Headers(), trailers: new Headers() };
  const options: CallOptions = {
    headers,
    signal: controller.signal,
    timeoutMs,
    onHeader: (received) => (known.headers = received),
    onTrailer: (received) => (known.trailers = received),
  };
  const run = async (input: unknown): Promise<Status> => {
    try {
      const result = await call(input, options);
      if (Symbol.asyncIterator in result) for await (const response of result) responses.push(response);
      else responses.push(result);
      return { code: 0, details: "" };
    } catch (error) {
      const { code, rawMessage, metadata } = ConnectError.from(error);
      known.trailers = metadata;
      return { code, details: rawMessage };
    } finally {
      responses.close();
    }
  };
  const ended = Promise.withResolvers<Status>();
  if (takesStream.has(method)) ended.resolve(run(requests));
  const value = (from: Headers, name: string): string | Uint8Array | undefined => {
    const text = from.get(name);
    if (text === null) return undefined;
    return name.endsWith("-bin") ? decodeBinaryHeader(text) : text;
  };
  return {
    send: (request) => {
      if (takesStream.has(method)) requests.push(request);
      else ended.resolve(run(request));
    },
    end: () => requests.close(),
    cancel: () => controller.abort(),
    read: () => responses.next(),
    status: ended.promise,
    header: (name) => value(known.headers, name),
    trailer: (name) => value(known.trailers, name),
  };
}

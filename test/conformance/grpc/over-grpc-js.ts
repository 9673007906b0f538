// The interop service over a client of grpc-js.
import { type Client, type ClientOptions, credentials, Metadata, type MetadataValue, type StatusObject } from "@grpc/grpc-js";
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
import { TestService, UnimplementedService } from "./service.ts";

/** What the calls of all kinds have in common. */
interface AnyCall {
  on(event: "metadata", listener: (metadata: Metadata) => void): void;
  on(event: "status", listener: (status: StatusObject) => void): void;
  on(event: "data", listener: (response: Response) => void): void;
  on(event: "error" | "end", listener: () => void): void;
  write(request: Request): unknown;
  end(): void;
  cancel(): void;
}

type Method = (...input: unknown[]) => AnyCall;

const takesStream = new Set<MethodName>(["streamingInputCall", "fullDuplexCall", "halfDuplexCall"]);
const givesStream = new Set<MethodName>(["streamingOutputCall", "fullDuplexCall", "halfDuplexCall"]);

/** Each call has a client of its own, so that whatever stands between may count connections. `options` are made anew for each. */
export function overGrpcJs(address: () => Promise<string>, options: () => ClientOptions, opened: (client: Client) => void): InteropClient {
  const open = (Service: typeof TestService, method: MethodName, given: OpenOptions = {}): Exchange => {
    const client = address().then((where) => {
      const made = new Service(where, credentials.createInsecure(), { "grpc.use_local_subchannel_pool": 1, ...options() });
      opened(made);
      return made;
    });
    return exchange(client, method, given);
  };
  return {
    open: (method, given) => open(TestService, method, given),
    openUnimplementedService: () => open(UnimplementedService, "unimplementedCall"),
  };
}

function exchange(client: Promise<Client>, method: MethodName, { fields = {}, timeoutMs }: OpenOptions): Exchange {
  const metadata = new Metadata();
  for (const [name, value] of Object.entries(fields)) metadata.set(name, typeof value === "string" ? value : Buffer.from(value));
  const responses = newQueue<Response>();
  const ended = Promise.withResolvers<Status>();
  const known: { headers: Metadata; trailers: Metadata } = { headers: new Metadata(), trailers: new Metadata() };
  const start = (request?: Request): Promise<AnyCall> =>
    client.then((made) => {
      // the cast: the constructor has put the methods of the proto on it
      const call = (made as unknown as Record<MethodName, Method>)[method](
        ...(request === undefined ? [] : [request]),
        metadata,
        timeoutMs === undefined ? {} : { deadline: Date.now() + timeoutMs },
        ...(givesStream.has(method)
          ? []
          : [(error: unknown, response: Response): void => (error === null ? responses.push(response) : undefined)]),
      );
      call.on("metadata", (headers) => (known.headers = headers));
      call.on("status", ({ code, details, metadata: trailers }) => {
        known.trailers = trailers;
        setImmediate(() => {
          responses.close(); // a unary response is handed over together with the status
          ended.resolve({ code, details });
        });
      });
      call.on("error", () => undefined); // the status has told
      if (givesStream.has(method)) call.on("data", (response) => responses.push(response));
      return call;
    });
  const streaming = takesStream.has(method);
  let call: Promise<AnyCall> | undefined = streaming ? start() : undefined;
  const value = (from: Metadata, name: string): MetadataValue | undefined => from.get(name)[0];
  return {
    send: (request) => {
      if (streaming) void call?.then((one) => one.write(request));
      else call ??= start(request);
    },
    end: () => void (streaming ? call?.then((one) => one.end()) : undefined),
    cancel: () => void call?.then((one) => one.cancel()),
    read: () => responses.next(),
    status: ended.promise,
    header: (name) => value(known.headers, name),
    trailer: (name) => value(known.trailers, name),
  };
}

// premeshTransport: a Connect transport whose calls go through the policies of a client.
import type { Client } from "../../client.ts";
import { Code } from "../../call/codes.ts";
import { newRecord } from "../../call/record.ts";
import { PolicyError } from "../../policy/error.ts";
import { doorOf } from "../door.ts";
import { poolOf } from "../pool.ts";
import { hostKey, type PremeshInit } from "../fetch/request.ts";
import { connectCall, connectConclusion, methodName } from "./call.ts";
import { type ConnectResponse, type ContextKey, createContextKey, type Request, type Transport } from "./connect-es.ts";
import { refusalError } from "./edge.ts";
import { type ConnectPayload, streamPayload, unaryPayload } from "./payload.ts";
import { connectSender, type Elsewhere } from "./send.ts";

export interface PremeshTransportOptions {
  /**
   * Where the transport sends to, the same as it was made with. Policies that name a host match by it, and layers keep state for it. Default: policies
   * match as if there were no host, by their `service` and `method` or by `host: "*"`, and state is kept for each service.
   */
  readonly baseUrl?: string;
  /** Makes the transport to another base URL, where a `route` or a `fallback` layer sends calls; asked once for each. Default: such a call fails. */
  readonly elsewhere?: (baseUrl: string) => Transport;
  /** Use this policy for every RPC of the transport, whatever the matches say. Default: the policy that the RPC matches. */
  readonly policy?: string;
}

/**
 * What premesh reads from the `contextValues` of a call.
 *
 * @example
 * ```ts
 * import { createContextValues } from "@connectrpc/connect";
 *
 * const contextValues = createContextValues().set(premeshOptions, { idempotent: true }); // charge({ amount: 25 }, { contextValues })
 * ```
 */
export const premeshOptions: ContextKey<PremeshInit> = createContextKey<PremeshInit>({}, { description: "premesh" });

/**
 * The transport, with every call under the client's policy that matches it: unary calls and streams of all kinds, over the Connect, the gRPC and the
 * gRPC-web protocol. A call that nothing matches goes through as if premesh were not there.
 *
 * Errors: what the transport gives; where a policy ended a call, a `ConnectError` with the fitting code whose `cause` is a {@link PolicyError}; here and
 * now `ERR_PREMESH_INVALID_OPTIONS`.
 *
 * @example
 * ```ts
 * import { createGrpcTransport } from "@connectrpc/connect-node";
 *
 * const baseUrl = "https://payments.internal";
 * const transport = premeshTransport(client, createGrpcTransport({ baseUrl }), { baseUrl }); // for Connect's own createClient(PaymentsService, transport)
 * ```
 */
export function premeshTransport(client: Client, transport: Transport, options: PremeshTransportOptions = {}): Transport {
  const door = doorOf(client, "premeshTransport");
  const pool = poolOf(door);
  const place = checked(transport, options);
  if (options.policy !== undefined) door.named(options.policy);
  const send = connectSender(transport, transportsTo(options.elsewhere, place?.path ?? ""), door.env);

  function through(request: Request, payload: (header: Headers) => ConnectPayload): Promise<ConnectResponse> | undefined {
    const { method, signal, contextValues } = request;
    const given = contextValues?.get(premeshOptions) ?? {};
    const name = methodName(method);
    try {
      const policy = given.policy ?? options.policy;
      const ruled = policy === undefined ? door.findRpc(place?.host ?? "", name) : door.named(policy);
      if (ruled === undefined) return undefined;
      const target = place?.target ?? method.parent.typeName;
      const record = newRecord(ruled, "connect", target, name, door.env.now());
      const call = connectCall(record, payload(new Headers(request.header)), signal, door.env.timers, given, send);
      door.requireIdempotencyLayer(ruled, call);
      return door.through(ruled, call, connectConclusion);
    } catch (error) {
      throw error instanceof PolicyError ? refusalError(error, codeOf(error), "caller") : error;
    }
  }

  // The casts: what comes out is of the method that went in. Async, so that whatever is wrong with a call rejects, as Connect's own transports do.
  return {
    unary: async (method, signal, timeoutMs, header, input, contextValues) => {
      const request = { method, signal, timeoutMs, header, contextValues };
      const going = through(request, (fields) => unaryPayload(request, fields, input));
      return going === undefined
        ? transport.unary(method, signal, timeoutMs, header, input, contextValues)
        : ((await going) as Awaited<ReturnType<typeof transport.unary<(typeof method)["input"], (typeof method)["output"]>>>);
    },
    stream: async (method, signal, timeoutMs, header, input, contextValues) => {
      const request = { method, signal, timeoutMs, header, contextValues };
      const going = through(request, (fields) => streamPayload(request, fields, input, pool));
      return going === undefined
        ? transport.stream(method, signal, timeoutMs, header, input, contextValues)
        : ((await going) as Awaited<ReturnType<typeof transport.stream<(typeof method)["input"], (typeof method)["output"]>>>);
    },
  };
}

/** Where a transport sends to. */
interface Place {
  readonly host: string;
  readonly target: string;
  /** What stands before the path of a method; without a slash at its end. */
  readonly path: string;
}

/** How many transports to other servers are kept: endpoints may come and go for ever. */
const MOST_ELSEWHERE = 1_024;

/** `path`: what stands before the path of a method. */
function transportsTo(make: PremeshTransportOptions["elsewhere"], path: string): Elsewhere {
  const made = new Map<string, Transport>();
  return (origin) => {
    const known = made.get(origin) ?? make?.(`${origin}${path}`);
    if (known === undefined || made.has(origin)) return known;
    const [oldest] = made.keys();
    if (oldest !== undefined && made.size >= MOST_ELSEWHERE) made.delete(oldest);
    made.set(origin, known);
    return known;
  };
}

/** Mistakes of the caller, and a client that takes no more calls. */
const codeOf = ({ code }: PolicyError): Code => (code === "ERR_PREMESH_CLIENT_CLOSED" ? Code.UNAVAILABLE : Code.INVALID_ARGUMENT);

function checked(transport: Transport, { baseUrl, elsewhere, policy }: PremeshTransportOptions): Place | undefined {
  const bad = (message: string): never => {
    throw new PolicyError("ERR_PREMESH_INVALID_OPTIONS", `premeshTransport: ${message}`);
  };
  // the casts: callers without types may pass anything
  if (typeof (transport as Partial<Transport> | undefined)?.unary !== "function" || typeof transport.stream !== "function")
    bad("needs a transport of Connect 2, such as createGrpcTransport({ baseUrl }) of @connectrpc/connect-node");
  if (elsewhere !== undefined && typeof elsewhere !== "function") bad("elsewhere must be a function that makes a transport of a base URL");
  if (policy !== undefined && typeof policy !== "string") bad("policy must be the name of a policy");
  if (baseUrl === undefined) return undefined;
  const url = URL.parse(baseUrl);
  if (url === null) return bad(`baseUrl must be a URL, such as "https://payments.internal", not ${JSON.stringify(baseUrl)}`);
  return { host: hostKey(url), target: url.host, path: url.pathname.replace(/\/+$/, "") };
}

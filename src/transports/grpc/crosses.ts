// How RPCs cross a seam: which of them can, and what their callers are told when there was no answer.
import type { Crosses } from "../../call/crossing.ts";
import { ChannelCredentials, type ClientOptions, Metadata, RealChannel } from "./grpc-js.ts";
import { PREVIOUS_ATTEMPTS } from "./metadata.ts";
import type { RpcPayload } from "./payload.ts";

export const rpcCrosses: Crosses = {
  originOf: ({ origin, payload }) => {
    const { line, credentials } = payload as RpcPayload; // the cast: it is only put on calls with this payload
    // credentials of a call are made for the connection that it goes out on
    return credentials !== undefined && !isEmpty(credentials) ? undefined : line.origin === undefined ? undefined : (origin ?? line.origin);
  },
  unanswered: (code, { message }, attempts) => {
    const metadata = new Metadata();
    if (attempts > 1) metadata.set(PREVIOUS_ATTEMPTS, String(attempts - 1));
    return { code, details: message, metadata };
  },
};

/** grpc-js gives every call credentials, and most of them have nothing in them. */
const isEmpty = (credentials: object): boolean => credentials.constructor.name === "EmptyCallCredentials";

/** One server by its name or address; a list of addresses, a socket or another scheme is known to grpc-js only. */
const ONE_SERVER = /^(?:(?:dns|ipv4|ipv6):(?:\/\/\/)?)?(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::(\d{1,5}))?$/;

/** Where calls of a channel go when nothing says otherwise; `undefined`: that cannot be said to a sidecar. */
export function originOfChannel(target: string, credentials: ChannelCredentials): string | undefined {
  const secure = credentials._isSecure();
  const [, host, port = "443"] = ONE_SERVER.exec(target) ?? [];
  // credentials of calls may be put together with those of the channel
  if (host === undefined || (secure && credentials.constructor !== plainTls())) return undefined;
  return new URL(`${secure ? "https" : "http"}://${host}:${port}`).origin;
}

let tls: unknown;

/** The class of what createSsl makes; made once, since it reads certificates. */
const plainTls = (): unknown => (tls ??= ChannelCredentials.createSsl().constructor);

/** A channel to a sidecar, for calls to the server of that name. Nothing of it is shared with other channels, so that it does not wait where they wait. */
export function channelToSidecar(address: string, authority: string, options: ClientOptions): RealChannel {
  // oxlint-disable-next-line typescript/no-unsafe-assignment -- channel options have an index signature of any
  const given: ClientOptions = {
    ...options,
    "grpc.default_authority": authority,
    "grpc.enable_http_proxy": 0,
    "grpc.use_local_subchannel_pool": 1,
    "grpc.initial_reconnect_backoff_ms": 50,
    "grpc.max_reconnect_backoff_ms": 1_000,
  };
  return new RealChannel(address, ChannelCredentials.createInsecure(), given);
}

// How RPCs cross a seam: which of them can, and what their callers are told when there was no answer.
import type { Crosses } from "../../call/crossing.ts";
import { ChannelCredentials, type ClientOptions, Metadata, RealChannel } from "./grpc-js.ts";
import type { Line } from "./line.ts";
import { PREVIOUS_ATTEMPTS } from "./metadata.ts";
import type { RpcPayload } from "./payload.ts";

export const rpcCrosses: Crosses = {
  originOf: ({ origin, payload }) => {
    const { line, credentials } = payload as RpcPayload; // the cast: it is only put on calls with this payload
    if (line.ownTls !== undefined) told(line, line.ownTls);
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

/**
 * What a channel's connections have of TLS that a sidecar's have not, since certificates and functions do not cross; `undefined`: nothing, as far as can be
 * seen. Certificates that it trusts cannot be seen.
 */
export function ownTlsOf(credentials: ChannelCredentials, options: ClientOptions): string | undefined {
  if (!credentials._isSecure() || credentials.constructor !== plainTls()) return undefined;
  const { secureContext, verifyOptions } = credentials as unknown as OfTls; // the cast: of that class; a test shows what it has
  if (secureContext?.context?.getCertificate?.() !== null) return "its TLS has a client certificate";
  if (verifyOptions?.checkServerIdentity !== undefined || verifyOptions?.rejectUnauthorized !== undefined)
    return "it has its own way to check certificates";
  return options["grpc.ssl_target_name_override"] === undefined ? undefined : "its server's certificate is for another name";
}

/** What grpc-js keeps, and within it Node. Where it is no more, a certificate may be there. */
interface OfTls {
  readonly secureContext?: { readonly context?: { getCertificate?(): unknown } };
  readonly verifyOptions?: { readonly checkServerIdentity?: unknown; readonly rejectUnauthorized?: unknown };
}

const toldOf = new WeakSet<Line>();

/** Said once, since whoever has put a seam into the policy expects calls to cross. */
function told(line: Line, why: string): void {
  if (toldOf.has(line)) return;
  toldOf.add(line);
  process.emitWarning(
    `calls to ${line.real.getTarget().replace(/^dns:/, "")} do not cross to the sidecar, since ${why}, which the sidecar cannot have: the layers behind the seam run in the process`,
    { type: "PremeshWarning", code: "PREMESH_TLS_STAYS" },
  );
}

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

// grpc-js: the one file that loads it; what of it premesh uses, and from which version on.
import { createRequire } from "node:module";
import {
  Channel as RealChannel,
  ChannelCredentials,
  type CallCredentials,
  type ChannelInterface,
  type ClientOptions,
  type InterceptingListener,
  Metadata,
  propagate as Propagate,
  ServerInterceptingCall,
  type ServerInterceptor,
  status as Status,
  type StatusObject,
} from "@grpc/grpc-js";
import { PolicyError } from "../../policy/error.ts";

export { ChannelCredentials, Metadata, Propagate, RealChannel, ServerInterceptingCall, Status };
export type { CallCredentials, ChannelInterface, ClientOptions, InterceptingListener, ServerInterceptor, StatusObject };

/** What a channel makes for each RPC, and grpc-js's client machinery goes by. */
export type WireCall = ReturnType<ChannelInterface["createCall"]>;
export type MessageContext = Parameters<WireCall["sendMessageWithContext"]>[0];
export type ParentCall = Parameters<ChannelInterface["createCall"]>[3];
export type Deadline = Parameters<ChannelInterface["createCall"]>[1];

/** What a server's interceptor is given for each RPC, and what is given to that. */
export type InboundWire = Parameters<ServerInterceptor>[1];
export type InboundListener = Parameters<InboundWire["start"]>[0];
export type SentStatus = Parameters<InboundWire["sendStatus"]>[0];

/** Before it, cancelled calls could be retried by grpc-js, and messages be lost when it did. */
const LEAST = [1, 14, 7] as const;

const { version } = createRequire(import.meta.url)("@grpc/grpc-js/package.json") as { version: string }; // the cast: require is untyped

/** Throws `ERR_PREMESH_INVALID_OPTIONS` when this grpc-js cannot be built on, or when the credentials are of another copy of it. */
export function requireGrpcJs(credentials: unknown, found: string = version): void {
  const bad = (message: string): never => {
    throw new PolicyError("ERR_PREMESH_INVALID_OPTIONS", `premesh/grpc: ${message}`);
  };
  const parts = found.split(".").map(Number.parseFloat);
  const differing = LEAST.findIndex((least, index) => parts[index] !== least);
  if (differing !== -1 && !((parts[differing] ?? 0) > (LEAST[differing] ?? 0)))
    bad(`needs @grpc/grpc-js ${LEAST.join(".")} or later, and found ${found}: npm install @grpc/grpc-js@latest`);
  if (!(credentials instanceof ChannelCredentials))
    bad(
      `the credentials are not of the @grpc/grpc-js ${found} that premesh loads; make them with its grpc.credentials, and if that is done, two copies are installed (npm ls @grpc/grpc-js)`,
    );
}

// What users put into the options of their gRPC clients: the way from a premesh client to channels with its policies.
import type { Client } from "../../client.ts";
import { doorOf } from "../door.ts";
import { type ChannelSettings, checkSettings, policyChannel } from "./channel.ts";
import type { ChannelCredentials, ClientOptions, RealChannel } from "./grpc-js.ts";

/** Makes a channel, as the constructor of grpc-js's own `Channel` does. */
export type ChannelFactory = (address: string, credentials: ChannelCredentials, options?: ClientOptions) => RealChannel;

/**
 * Options for any client of `@grpc/grpc-js` that put the client's policies around its channel. Everything above the channel stays as it is: generated
 * clients, interceptors, credentials. An RPC that no policy matches goes through as if premesh were not there.
 *
 * Errors: `ERR_PREMESH_INVALID_OPTIONS` when it is not given a client, and, as the channel is made, when grpc-js is too old or `grpc.service_config`
 * configures retries of its own; `ERR_PREMESH_UNKNOWN_POLICY`. What a policy refuses is a `ServiceError`, whose `cause` is a `PolicyError`.
 *
 * @example
 * ```ts
 * const payments = new PaymentsClient("payments.internal:443", credentials.createSsl(), channelOptions(client));
 * ```
 */
export function channelOptions(client: Client, settings: ChannelSettings = {}): Pick<ClientOptions, "channelFactoryOverride"> {
  return { channelFactoryOverride: factory(client, settings, "channelOptions") };
}

/**
 * The same for those who make channels themselves: a function with the signature of grpc-js's `channelFactoryOverride`.
 *
 * Errors: as {@link channelOptions}.
 *
 * @example
 * ```ts
 * const channel = channelFactory(client)("payments.internal:443", credentials.createSsl(), {});
 * const payments = createNiceClient(PaymentsDefinition, channel);
 * ```
 */
export function channelFactory(client: Client, settings: ChannelSettings = {}): ChannelFactory {
  return factory(client, settings, "channelFactory");
}

function factory(client: Client, settings: ChannelSettings, caller: string): ChannelFactory {
  const door = doorOf(client, caller);
  checkSettings(settings, caller);
  // the cast: libraries that ask for the class, as nice-grpc does, use what the interface has
  return (address, credentials, options = {}) => policyChannel(door, settings, address, credentials, options) as RealChannel;
}

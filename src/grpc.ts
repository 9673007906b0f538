// The public names of premesh/grpc: policies around the channels and the servers of @grpc/grpc-js.
export { channelFactory, channelOptions } from "./transports/grpc/options.ts";
export type { ChannelFactory } from "./transports/grpc/options.ts";
export type { ChannelSettings } from "./transports/grpc/channel.ts";
export { serverInterceptor } from "./transports/grpc/server.ts";
export type { ServerSettings } from "./transports/grpc/server.ts";
export type { ServiceShape } from "./transports/grpc/services.ts";

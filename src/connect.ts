// premesh/connect: policies for the clients of Connect.
export { premeshOptions, premeshTransport } from "./transports/connect/transport.ts";
export type { PremeshTransportOptions } from "./transports/connect/transport.ts";
export type { PremeshInit } from "./transports/fetch/request.ts";

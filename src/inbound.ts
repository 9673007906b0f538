// The public names of premesh/inbound: policies for the calls that come in to a service.
export { inbound } from "./transports/inbound/middleware.ts";
export type { Inbound } from "./transports/inbound/middleware.ts";
export { inboundFetch, inboundHono } from "./transports/inbound/fetch.ts";
export type { HonoContext, InboundFetch, InboundHono } from "./transports/inbound/fetch.ts";
export type { InboundOptions } from "./transports/inbound/options.ts";
export { inboundCall } from "./transports/inbound/known.ts";
export type { InboundCall } from "./transports/inbound/known.ts";

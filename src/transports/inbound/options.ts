// Options of inbound, and what is wrong with those of callers without types.
import { PolicyError } from "../../policy/error.ts";

export interface InboundOptions {
  /**
   * Takes the caller's word for how long it waits: `x-envoy-expected-rq-timeout-ms`, which premesh and Envoy send. Default false: anybody can send it. Over
   * gRPC `grpc-timeout` always counts.
   */
  readonly trustDeadline?: boolean;
}

export function checkInboundOptions(options: InboundOptions, caller: string): void {
  const bad = (message: string): never => {
    throw new PolicyError("ERR_PREMESH_INVALID_OPTIONS", `${caller}: ${message}`);
  };
  // the casts: callers without types may pass anything
  if (typeof options !== "object" || (options as unknown) === null) bad("the options must be an object");
  if (options.trustDeadline !== undefined && typeof (options.trustDeadline as unknown) !== "boolean")
    bad("trustDeadline must be true or false");
}

// What the outcome of an attempt says about its endpoint, as Envoy's outlier detection sees it.
import { matcher, REFUSAL } from "../../../call/classify.ts";
import type { Outcome } from "../../../call/outcome.ts";

/** Failures that Envoy counts as 5xx: statuses from 500 on, everything on the way, and the gRPC statuses that map to one. */
const isServerFailure = matcher(["5xx", "unknown", "deadline-exceeded", "unimplemented", "internal", "unavailable", "data-loss"]);

/** 502, 503, 504, everything on the way, and the gRPC statuses that map to 503 and 504. */
const isGatewayFailure = matcher(["gateway-error", "deadline-exceeded", "unavailable"]);

/** No answer came: no connection, a reset, a refused stream, a timeout. */
const isOnTheWay = matcher(["reset"]);

/** `nothing`: it says nothing about the endpoint. */
export type Verdict = "nothing" | "success" | "server-failure" | "gateway-failure" | "local-failure";

/**
 * Nothing is said by what a layer made up (a refusal, a fault, a fallback), and by a call that its caller ended. An answer that is no failure of the
 * server is a success, a 404 too.
 */
export function verdictOf(outcome: Outcome<unknown>): Verdict {
  if (outcome.fallback !== undefined) return "nothing";
  if (outcome.ok) return "success";
  if (outcome.by === "caller" || outcome.by === "fault" || (outcome.conditions & REFUSAL) !== 0) return "nothing";
  if (isOnTheWay(outcome)) return "local-failure";
  if (isGatewayFailure(outcome)) return "gateway-failure";
  return isServerFailure(outcome) ? "server-failure" : "success";
}

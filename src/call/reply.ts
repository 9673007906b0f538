// Replies: the responses that layers make themselves, by what their definitions say, so that the other side of a seam can make the same.
import type { LayerDefinition, LayerDefinitions } from "../policy/policy.ts";
import type { Reply } from "./outcome.ts";

/** What a `fault` layer answers with. */
export const faultReply = (status: number, policy: string): Reply => ({
  status,
  headers: { "content-type": "text/plain", "premesh-fault": policy },
  body: "fault injected by a premesh policy",
});

/** What a `fallback` layer answers with; `undefined`: it asks another target. */
export function fallbackReply({ response }: LayerDefinitions["fallback"]): Reply | undefined {
  return "target" in response ? undefined : { status: response.status, headers: response.headers ?? {}, body: response.body };
}

/** The reply of the layer that made it; `status`: that of a fault. */
export function replyOf(layer: LayerDefinition | undefined, status: number, policy: string): Reply | undefined {
  if (layer?.kind === "fault") return faultReply(status, policy);
  return layer?.kind === "fallback" ? fallbackReply(layer) : undefined;
}

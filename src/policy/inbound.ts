// Inbound: which layers can be run on a call that comes in to a process, where the work that follows is done here and once. In front of one (the sidecar) all can.
import { PolicyError } from "./error.ts";
import type { LayerDefinition, LayerKind, Policy } from "./policy.ts";

/** Where calls come in: within the process that does them, or before it. */
export type InboundPlace = "within" | "before";

/** Why a layer of that kind cannot; `undefined`: it can. */
const unfit: { readonly [K in LayerKind]: string | undefined } = {
  trace: undefined,
  rateLimit: undefined,
  bulkhead: undefined,
  timeout: undefined,
  retry: "would have the work done again",
  hedge: "would have the work done twice at a time",
  breaker: undefined,
  fallback: undefined,
  fault: undefined,
  idempotency: undefined,
  route: "has nowhere to send it",
  sidecar: "has no sidecar to hand them to",
  adopt: undefined,
};

/** A layer that cannot be run on calls that come in. */
export interface Unfit {
  readonly index: number;
  readonly kind: LayerKind;
  readonly why: string;
}

/** Those of a policy; none where it is for calls that go out. */
export function unfitInbound(policy: Policy): readonly Unfit[] {
  if (!isInbound(policy)) return [];
  return policy.layers.flatMap((layer, index) => {
    const why = whyUnfit(layer);
    return why === undefined ? [] : [{ index, kind: layer.kind, why }];
  });
}

function whyUnfit(layer: LayerDefinition): string | undefined {
  return layer.kind === "fallback" && "target" in layer.response ? "has no other target to ask" : unfit[layer.kind];
}

/**
 * Throws `ERR_PREMESH_INVALID_OPTIONS` for the first policy that has one, or that shares answers where nothing is shared. `passedOn`: calls are not done here
 * but passed on to an application, which any layer can be before.
 */
export function requireInboundFit(
  policies: readonly Policy[],
  { shared, passedOn }: { readonly shared: boolean; readonly passedOn: boolean },
): void {
  const bad = ({ name }: Policy, message: string): never => {
    throw new PolicyError("ERR_PREMESH_INVALID_OPTIONS", `policy "${name}" is for calls that come in, and ${message}`, { policy: name });
  };
  for (const policy of policies) {
    const [first] = passedOn ? [] : unfitInbound(policy);
    const hint = "take it out, or make two policies: one with inbound: true, one without";
    if (first !== undefined) bad(policy, `layers[${first.index}] (${first.kind}) ${first.why}; ${hint}`);
    const how = passedOn
      ? "the shim has no store: premesh sidecar --shared redis://host:6379"
      : "the client has no store: createClient({ shared: redisStore(url) })";
    if (!shared && isInbound(policy) && policy.layers.some((layer) => layer.kind === "idempotency" && layer.store === "shared"))
      bad(policy, `its idempotency layer has store: "shared", but ${how}`);
  }
}

/** Whether it is for calls that come in. */
export const isInbound = ({ match = [] }: Policy): boolean => match.some(({ inbound }) => inbound === true);

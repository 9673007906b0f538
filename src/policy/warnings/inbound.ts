// Layers that cannot be run on calls that come in, and what is asked of such calls where there are none.
import { isInbound, unfitInbound } from "../inbound.ts";
import { type Finding, layersOf, type Rule } from "./finding.ts";

/** In front of a service (the sidecar) it can; within it, `inbound` of `premesh/inbound` refuses the policy. */
export const unfitForInbound: Rule = (policy) =>
  unfitInbound(policy).map(({ index, kind, why }): Finding => {
    return {
      code: "PM0530",
      path: `layers[${index}]`,
      message: `on calls that come in the ${kind} layer ${why}, so only a sidecar before the service can run this policy for them`,
      hint: "run it there, take it out, or make two policies: one with inbound: true, one without",
    };
  });

/** Fields of `idempotency` that say nothing about calls that go out. */
const INBOUND_ONLY = ["required", "store", "keep", "buffer", "bounds", "lease", "unknown", "forget", "scope"] as const;

export const nothingComesIn: Rule = (policy) => {
  if (isInbound(policy)) return [];
  return layersOf(policy, "idempotency").flatMap(({ layer, index }) =>
    INBOUND_ONLY.filter((field) => layer[field] !== undefined).map((field): Finding => ({
      code: "PM0531",
      path: `layers[${index}].${field}`,
      message: "is about calls that come in, and no entry of match is for such",
      hint: "remove it, or give an entry of match inbound: true",
    })),
  );
};

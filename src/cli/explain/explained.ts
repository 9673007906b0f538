// What explain finds out about a call, as data: the policy, the rules that fit, the layers and the worst case.
import type { PolicyIssue } from "../../policy/error.ts";
import { withDefaults } from "../../policy/defaults.ts";
import { type Candidate, candidatesFor } from "../../policy/matching.ts";
import type { LayerDefinition, LayerKind, Policy } from "../../policy/policy.ts";
import { revision } from "../../policy/revision.ts";
import { warningsOf } from "../../policy/warnings.ts";
import { isRepeating, type WorstCase, worstCasesOf } from "../../policy/worst-case.ts";
import type { Question } from "./question.ts";

/** Where a layer runs. */
type Place = "process" | "sidecar";

/** Kinds that hand the rest of the list over to another place. */
const HANDS_OVER: Partial<Record<LayerKind, Place>> = { sidecar: "sidecar" };

export interface ExplainedLayer {
  readonly index: number;
  readonly layer: LayerDefinition;
  readonly place: Place;
  readonly insideRetry: boolean;
  /** Which layer is the retry whose budget holds for all who send more than once. */
  readonly budgetOf: number | undefined;
}

export interface Explained {
  readonly question: Question;
  readonly policy: Policy;
  /** Index of the policy in its file. */
  readonly at: number;
  /** Absent: the policy was named. */
  readonly rule?: Candidate;
  readonly lost: readonly Candidate[];
  readonly layers: readonly ExplainedLayer[];
  /** From each layer on inward; the first is the whole, and the last the peer's own. */
  readonly cases: readonly WorstCase[];
  readonly warnings: readonly PolicyIssue[];
}

/** `undefined`: no policy matches, or has that name. */
export function explained(question: Question, policies: readonly Policy[], paths: readonly string[]): Explained | undefined {
  const { call } = question;
  const candidates = call === undefined ? [] : candidatesFor(policies, call);
  const [rule] = candidates;
  const policy = call === undefined ? policies.find(({ name }) => name === question.policy) : rule?.policy;
  if (policy === undefined) return undefined;
  return {
    question,
    policy,
    at: policies.indexOf(policy),
    ...(rule === undefined ? {} : { rule }),
    lost: rivals(candidates),
    layers: placed(policy.layers),
    cases: worstCasesOf(policy.layers),
    warnings: warningsOf(policies, paths).filter((warning) => warning.policy === policy.name),
  };
}

/** The best rule of each other policy. */
function rivals(candidates: readonly Candidate[]): readonly Candidate[] {
  const seen = new Set<Policy>();
  return candidates.filter(({ policy }) => !seen.has(policy) && seen.add(policy)).slice(1);
}

function placed(layers: readonly LayerDefinition[]): readonly ExplainedLayer[] {
  const repeatsAt = layers.findIndex(isRepeating);
  const retryAt = layers.findIndex(({ kind }) => kind === "retry");
  let place: Place = "process";
  return layers.map((layer, index) => {
    const here = {
      index,
      layer,
      place,
      insideRetry: repeatsAt !== -1 && repeatsAt < index,
      budgetOf: retryAt === -1 ? undefined : retryAt,
    };
    place = HANDS_OVER[layer.kind] ?? place;
    return here;
  });
}

/** Plain JSON; what is unbounded is null. */
export function explainedJson({ question, policy, rule, lost, layers, cases, warnings }: Explained, file: string): object {
  const [worst] = cases;
  const bounded = (ms = Infinity): number | null => (ms === Infinity ? null : ms);
  return {
    file,
    question: question.shown,
    policy: policy.name,
    revision: revision(policy),
    rule: rule === undefined ? null : { entry: rule.entry, match: policy.match?.[rule.entry] },
    lost: lost.map((one) => ({ policy: one.policy.name, entry: one.entry, match: one.policy.match?.[one.entry], because: one.behind })),
    layers: layers.map(({ index, layer, place }) => ({
      index,
      kind: layer.kind,
      name: layer.name ?? null,
      place,
      settings: withDefaults(layer),
    })),
    worstCase: {
      headMs: bounded(worst?.headMs),
      headWithRetryAfterMs: bounded(worst?.headPushedMs),
      endMs: bounded(worst?.endMs),
      sends: worst?.sends,
      sendsUnderLoad: worst?.sendsUnderLoad,
    },
    warnings: warnings.map(({ code, path, message }) => ({ code, path, message })),
  };
}

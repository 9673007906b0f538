// Retries that are questionable: unbounded, multiplied, of work that may not be done twice, or without effect.
import { hedgeDefaults } from "../../layers/hedge/definition.ts";
import { idempotencyDefaults } from "../../layers/idempotency/definition.ts";
import { type RetryDefinition, retryDefaults } from "../../layers/retry/definition.ts";
import { attemptsOf } from "../worst-case.ts";
import { type Finding, layersOf, type Rule } from "./finding.ts";

/** Without a budget all calls are repeated in an outage, or hedged while the peer is slow. */
export const noBudget: Rule = (policy) => {
  const hedges = layersOf(policy, "hedge").flatMap(({ layer, index }): Finding[] => {
    if (layer.budget !== false || layersOf(policy, "retry").length > 0) return []; // beside a retry, that one's budget is for both
    return [
      {
        code: "PM0502",
        path: `layers[${index}].budget`,
        message: `nothing bounds the copies: while the peer is slow it gets ${1 + (layer.max ?? hedgeDefaults.max)} times the load`,
        hint: "leave budget out; by default copies are at most 20 % of the calls under way",
      },
    ];
  });
  const retries = layersOf(policy, "retry").flatMap(({ layer, index }): Finding[] => {
    const attempts = attemptsOf(layer);
    if (layer.budget !== false || attempts === 1) return [];
    return [
      {
        code: "PM0502",
        path: `layers[${index}].budget`,
        message: `nothing bounds the retries: while the peer is down it gets ${attempts} times the load`,
        hint: "leave budget out; by default retries are at most 20 % of the calls under way",
      },
    ];
  });
  return [...retries, ...hedges];
};

const NOT_IDEMPOTENT = ["POST", "PATCH"];

/** POST and PATCH are not idempotent (RFC 9110, 9.2.2). The key of an idempotency layer tells the peer that it has seen the call. */
export const doneTwice: Rule = (policy) => {
  const keyed = layersOf(policy, "idempotency").flatMap(({ layer }): readonly string[] => layer.methods ?? idempotencyDefaults.methods);
  const hedges = layersOf(policy, "hedge").flatMap(({ layer, index }): Finding[] => {
    const unkeyed = NOT_IDEMPOTENT.filter((method) => covers(layer.methods, method) && !covers(keyed, method));
    if (unkeyed.length === 0) return [];
    return [
      {
        code: "PM0503",
        path: `layers[${index}].methods`,
        message: `a ${unkeyed.join(" or ")} may be done ${1 + (layer.max ?? hedgeDefaults.max)} times at once: it is hedged without a key by which the peer knows it again`,
        hint: "put idempotency() before hedge, if the peer honours its key",
      },
    ];
  });
  const retries = layersOf(policy, "retry").flatMap(({ layer, index }): Finding[] => {
    const unkeyed = NOT_IDEMPOTENT.filter((method) => covers(layer.methods, method) && !covers(keyed, method));
    if (unkeyed.length === 0 || attemptsOf(layer) === 1) return [];
    return [
      {
        code: "PM0503",
        path: `layers[${index}].methods`,
        message: `a ${unkeyed.join(" or ")} may be done up to ${attemptsOf(layer)} times: it is repeated without a key by which the peer knows it again`,
        hint: "put idempotency() before retry, if the peer honours its key",
      },
    ];
  });
  return [...retries, ...hedges];
};

const covers = (methods: readonly string[] = retryDefaults.methods, method: string): boolean =>
  methods.includes("*") || methods.includes(method);

/** Attempts multiply. */
export const nested: Rule = (policy) => {
  const retries = layersOf(policy, "retry").filter(({ layer }) => attemptsOf(layer) > 1);
  return retries.slice(1).map(({ layer, index }, at): Finding => {
    const outer = retries.slice(0, at + 1);
    const factors = [...outer.map((one) => attemptsOf(one.layer)), attemptsOf(layer)];
    return {
      code: "PM0507",
      path: `layers[${index}]`,
      message: `is inside the retry of layers[${outer.at(-1)?.index ?? 0}]: a call is sent up to ${factors.join(" x ")} = ${factors.reduce((a, b) => a * b)} times`,
      hint: "keep one of them",
    };
  });
};

/** A retry that never repeats anything. */
export const noEffect: Rule = (policy) =>
  layersOf(policy, "retry").flatMap(({ layer, index }): Finding[] => {
    if (attemptsOf(layer) > 1) return [];
    const why = (layer.attempts ?? retryDefaults.attempts) === 1 ? "attempts is 1" : "its budget has no place for a retry";
    return [{ code: "PM0514", path: `layers[${index}]`, message: `never repeats a call: ${why}`, hint: "remove the layer, or allow more" }];
  });

/** A policy for methods that its retry does not repeat, and no key for them: what an RPC may is said by its service, so those are left alone. */
export const repeatsNone: Rule = (policy) => {
  const { match = [] } = policy;
  if (match.length === 0 || match.some(({ methods, service }) => methods === undefined || service !== undefined)) return [];
  const methods = [...new Set(match.flatMap((entry) => entry.methods ?? []))];
  const keyed = layersOf(policy, "idempotency").flatMap(({ layer }): readonly string[] => layer.methods ?? idempotencyDefaults.methods);
  return layersOf(policy, "retry").flatMap(({ layer, index }): Finding[] => {
    if (attemptsOf(layer) === 1 || methods.some((method) => covers(layer.methods, method) || covers(keyed, method))) return [];
    return [
      {
        code: "PM0516",
        path: `layers[${index}]`,
        message: `does not repeat ${methods.join(" or ")}, and the policy is for nothing else: only what the peer never saw is sent again, unless calls say idempotent: true`,
        hint: "put idempotency() before retry, if the peer honours its key",
      },
    ];
  });
};

/** A key that is stamped inside retry is not seen by it. */
export const keyInside: Rule = (policy) => {
  const outer = layersOf(policy, "retry").find(({ layer }) => attemptsOf(layer) > 1);
  return layersOf(policy, "idempotency").flatMap(({ layer, index }): Finding[] => {
    if (outer === undefined || outer.index > index) return [];
    const unseen = (layer.methods ?? idempotencyDefaults.methods).filter((method) => !repeated(outer.layer, method));
    if (unseen.length === 0) return [];
    return [
      {
        code: "PM0515",
        path: `layers[${index}]`,
        message: `is inside the retry of layers[${outer.index}], which does not see its key and so does not repeat ${unseen.join(", ")}`,
        hint: "put it before retry",
      },
    ];
  });
};

const repeated = ({ methods }: RetryDefinition, method: string): boolean => covers(methods, method);

// The route layer at work: finds the rule that a call fits, picks an endpoint, and sends the call on through the layers of that endpoint.
import type { Branches, Build } from "../../call/build.ts";
import type { Call, Next } from "../../call/call.ts";
import { gaveUpOutcome, REFUSAL } from "../../call/classify.ts";
import { Code } from "../../call/codes.ts";
import { whenEnded } from "../../call/end.ts";
import type { Failure, Outcome } from "../../call/outcome.ts";
import { PolicyError, type PolicyErrorCode } from "../../policy/error.ts";
import { hashKeyOf } from "./balance/balancer.ts";
import { hash32 } from "./balance/hash.ts";
import type { RouteDefinition } from "./definition.ts";
import { wordsOf } from "./discovery/found.ts";
import type { Endpoint, Pool } from "./endpoint.ts";
import { type HealthChecks, newHealthChecks } from "./health/checks.ts";
import { ownLocality } from "./locality.ts";
import { hashedText } from "./match/call-fields.ts";
import { newMirror } from "./mirror/mirror.ts";
import { type Chosen, newChooser } from "./choose.ts";
import { newPool, poolDefaults } from "./pool.ts";
import type { Part } from "./part.ts";
import { newRules, type Rule, type Rules } from "./rules.ts";

export const buildRoute: Build<RouteDefinition, Rules> = (definition, env, { label }) => {
  const { sticky, host = "preserve", mirror, health, balance = poolDefaults.balance, locality } = definition;
  const hashKey = hashKeyOf(balance) ?? sticky;
  const report = (call: Call | undefined, what: string, detail: Readonly<Record<string, unknown>>): void =>
    env.report(call, { layer: label, kind: "route", what, detail });
  const poolOptions = { ...definition, locality: ownLocality(locality) };
  const mirrored = mirror === undefined ? undefined : newMirror(mirror, env, report);

  function hashOf(call: Call): number | undefined {
    const text = hashKey === undefined ? undefined : hashedText(call, hashKey);
    return text === undefined ? undefined : hash32(text);
  }

  function refused(call: Call, error: PolicyErrorCode, what: "no-endpoint" | "no-route", why: string, cause?: unknown): Failure<never> {
    const { policy, target, attempts } = call.record;
    report(call, what, cause === undefined ? {} : { error: wordsOf(cause) });
    const told = new PolicyError(error, `policy ${policy}: ${why} for ${target}`, { policy, layer: label, attempts, cause });
    const code = what === "no-route" ? Code.UNIMPLEMENTED : Code.UNAVAILABLE;
    return { ok: false, code, by: "route", sent: false, conditions: REFUSAL, layer: label, cause: told };
  }

  function noEndpoint(call: Call, rule: Rule): Failure<never> {
    const error = rule.error();
    const why = error === undefined ? "no endpoint can take the call" : `no endpoint was found (${wordsOf(error)})`;
    return refused(call, "ERR_PREMESH_NO_ENDPOINT", "no-endpoint", why, error);
  }

  function layerOf(rules: Rules, branches: Branches): Next<unknown> {
    const choose = newChooser(branches, env);
    let version = 0;

    function send(call: Call, rule: Rule): Promise<Outcome<unknown>> {
      if (version !== rules.version && rules.rules.every(({ ready }) => ready === undefined)) {
        version = rules.version;
        branches.prune(rules.knows);
      }
      const now = env.now();
      const chosen = choose(rule.parts, hashOf(call), call.record.visits, now);
      if (chosen === undefined) return Promise.resolve(noEndpoint(call, rule));
      return through(chosen, call, now);
    }

    /** Through the layers of the endpoint. */
    function through({ part, endpoint }: Chosen, call: Call, startedAt: number): Promise<Outcome<unknown>> {
      const { record } = call;
      if (record.visits === undefined) mirrored?.send(call);
      record.visits = { address: endpoint, nth: call.attempt, before: record.visits };
      part.entered(endpoint);
      const authority = host === "rewrite" ? endpoint.url.host : undefined;
      return branches
        .to(endpoint.key)
        .next({ ...call, endpoint, authority })
        .then((outcome) => settled(part, endpoint, outcome, startedAt, call));
    }

    return (call) => {
      const rule = rules.rules.find(({ fits }) => fits === undefined || fits(call));
      if (rule === undefined)
        return Promise.resolve(refused(call, "ERR_PREMESH_NO_ROUTE", "no-route", "no entry of the route fits the call"));
      rules.open(nameOf(call));
      if (rule.ready === undefined) return send(call, rule);
      return rules.answered(rule, call.signal).then((known) => (known ? send(call, rule) : gaveUpOutcome(call.signal)));
    };
  }

  /** What the peer is called, where it is not by its address. */
  const nameOf = ({ target, origin, record: { protocol } }: Call): string | undefined => {
    if (host === "rewrite" || protocol === "run") return undefined;
    return origin === undefined ? target : new URL(origin).host;
  };

  function checksOf(pool: Pool, authority: string | undefined): HealthChecks | undefined {
    if (health === undefined) return undefined;
    return newHealthChecks(health, env, {
      changed: (endpoint) => pool.changed(endpoint),
      passed: (endpoint, at) => pool.passed(endpoint, at),
      report: (what, detail) => report(undefined, what, detail),
      authority,
    });
  }

  function settled<R>(part: Part, endpoint: Endpoint, outcome: Outcome<R>, startedAt: number, call: Call): Outcome<R> {
    const now = env.now();
    part.pool.settled(endpoint, outcome, now - startedAt, now, call);
    whenEnded(outcome.end, () => part.left(endpoint));
    return outcome;
  }

  return {
    branching: true,
    newState: (before) =>
      newRules(
        definition,
        { env, report, newPool: () => newPool(poolOptions, { random: env.random, report }, env.now()), newHealthChecks: checksOf },
        before,
      ),
    // the cast: layers do not know the response of their transport
    layer: (rules, branches) => () => layerOf(rules, branches ?? missing()) as Next<never>,
    show: (rules) => ({
      status: () => {
        const now = env.now();
        const parts = rules.rules.flatMap((rule) => rule.parts);
        return {
          active: rules.count(({ active }) => active),
          ejected: rules.count(({ ejected }) => Number(ejected)),
          targets: parts.map((part) => Object.assign({ weight: part.weight }, part.pool.status(now), checksIn(part))),
          ...mirrored?.status(),
        };
      },
    }),
    close: (rules) => {
      rules.close();
      mirrored?.close();
    },
  };
};

function checksIn(part: Part): { readonly checks?: Readonly<Record<string, unknown>> } {
  const checks = part.checks();
  return checks === undefined ? {} : { checks };
}

function missing(): never {
  throw new TypeError("a route was built without what is behind it");
}

// The sidecar layer at work: gives the call to the sidecar, which runs the layers behind; where that cannot be, they run here.
import { randomUUID } from "node:crypto";
import type { Build } from "../../call/build.ts";
import type { Call, Next } from "../../call/call.ts";
import { gaveUpOutcome, REFUSAL } from "../../call/classify.ts";
import { Code, codeName } from "../../call/codes.ts";
import type { Changed, Crosses, Sidecar } from "../../call/crossing.ts";
import { whenEnded } from "../../call/end.ts";
import type { Failure, Outcome } from "../../call/outcome.ts";
import { settledOr } from "../../call/waiting.ts";
import { REPLAY_BUFFER } from "../../policy/schema.ts";
import { encodeCall } from "../../seam/call-field.ts";
import { CALL_FIELD, POLICY_FIELD } from "../../seam/names.ts";
import { encodePolicy } from "../../seam/policy-field.ts";
import { type Fell, Passage } from "./crossing.ts";
import { type SidecarDefinition, sidecarDefaults } from "./definition.ts";

/** One target. There is nothing to know of it but that the sidecar is in use. */
interface State {
  readonly sidecar: Sidecar | undefined;
}

export const buildSidecar: Build<SidecarDefinition, State> = (definition, env, { label, index, insideRetry, repeatsBehind }) => {
  const { address, fallback = sidecarDefaults.fallback } = definition;
  const sidecar = env.sidecars?.at(address);
  const report = (call: Call | undefined, what: string, detail: Readonly<Record<string, unknown>>): void =>
    env.report(call, { layer: label, kind: "sidecar", what, detail });
  const changed: Changed = (found, detail) => report(undefined, found ? "sidecar-found" : "sidecar-lost", detail);
  let users = 0;
  let named: { readonly revision: string; readonly field: string } | undefined;

  /** The same for all calls under a revision of the policy. */
  function policyField({ policy, revision }: Call["record"]): string {
    if (named?.revision !== revision) named = { revision, field: encodePolicy({ policy, revision }) };
    return named.field;
  }

  /** The layers behind run here, or the call fails, as the policy has it. */
  function stay(call: Call, next: Next<unknown>, why: string, retryAfterMs: number | undefined): Promise<Outcome<unknown>> {
    if (fallback === "fail") {
      report(call, "refused", { why, retryAfterMs });
      const refusal: Failure<never> = { ok: false, code: Code.UNAVAILABLE, by: "sidecar", sent: false, conditions: REFUSAL, layer: label };
      return Promise.resolve({ ...refusal, retryAfterMs });
    }
    report(call, "stayed", { why });
    call.record.seam = "stayed";
    return next(call);
  }

  function cross(call: Call, next: Next<unknown>, crosses: Crosses, origin: string, to: Sidecar): Promise<Outcome<unknown>> {
    const { record } = call;
    const now = env.now();
    call.payload.keep?.(REPLAY_BUFFER); // the sidecar may not take it
    if (insideRetry && record.layers.some(({ kind }, at) => kind === "idempotency" && at > index)) record.id ??= randomUUID();
    const fields = [
      [POLICY_FIELD, policyField(record)],
      [CALL_FIELD, encodeCall(call, origin, now)],
    ] as const;
    const passage = new Passage(call, crosses, to, fields, now);
    return call.send({ ...call, signal: passage, crossing: passage }).then(
      (outcome) => {
        const settled = passage.settled(outcome);
        if ("how" in settled) {
          passage.left();
          return fell(settled, call, next, to);
        }
        whenEnded(settled.end, () => passage.left());
        if (record.seam === "crossed") to.takes(record.revision);
        if (!settled.ok && settled.by !== "peer" && settled.by !== "caller" && settled.layer !== label)
          report(call, "refused-behind", { by: settled.by, layer: settled.layer, code: codeName(settled.code), status: settled.status });
        return settled;
      },
      (error: unknown) => {
        passage.left();
        throw error;
      },
    );
  }

  /** The sidecar did not carry it through. */
  function fell({ how, why, outcome }: Fell, call: Call, next: Next<unknown>, to: Sidecar): Promise<Outcome<unknown>> | Outcome<unknown> {
    const { record, payload, signal } = call;
    if (how === "unseen" && why !== "draining") {
      if (to.lacks(record.revision)) report(call, "unknown-revision", { address: to.address.key, revision: record.revision, why });
    } else to.failed(why);
    if (signal?.aborted === true) return gaveUpOutcome(signal);
    if (how === "broken") {
      report(call, "broken", { why });
      if (!repeatsBehind(call, outcome)) return outcome;
    }
    if (payload.replayable) return stay(call, next, why, to.retryAfterMs);
    report(call, "body-not-replayable", { why });
    return outcome;
  }

  function through(next: Next<unknown>, to: Sidecar): Next<unknown> {
    const go = (call: Call, crosses: Crosses, origin: string, there: boolean): Promise<Outcome<unknown>> => {
      if (!there) return stay(call, next, to.why, to.retryAfterMs);
      if (!to.knows(call.record.revision)) return stay(call, next, "it does not have the policy in this revision", undefined);
      return cross(call, next, crosses, origin, to);
    };
    return (call) => {
      const { crosses } = call;
      const origin = crosses?.originOf(call);
      if (crosses === undefined || origin === undefined) {
        call.record.seam = "cannot-cross";
        return next(call);
      }
      const there = to.ready();
      if (typeof there === "boolean") return go(call, crosses, origin, there);
      return settledOr(there, call.signal).then(async (known) =>
        known ? go(call, crosses, origin, await there) : gaveUpOutcome(call.signal),
      );
    };
  }

  return {
    newState: () => {
      if (users++ === 0) sidecar?.use(changed);
      return { sidecar };
    },
    // the cast: layers do not know the response of their transport
    layer: () => (next) => (sidecar === undefined ? next : (through(next, sidecar) as typeof next)),
    show: () => ({ status: () => sidecar?.status() ?? { phase: "in-process" } }),
    close: () => {
      if (--users === 0) sidecar?.release(changed);
    },
  };
};

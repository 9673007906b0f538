// A call with a key that has come in: done once, and its answer given to all that come with the same key.
import type { AnswerStore, Begun, Terms } from "../../call/answers.ts";
import { type Call, fieldOf, type Next } from "../../call/call.ts";
import { abortedOutcome, gaveUpOutcome } from "../../call/classify.ts";
import { type Code, httpStatusOf } from "../../call/codes.ts";
import { digestOf } from "../../call/digest.ts";
import { whenEnded } from "../../call/end.ts";
import type { Env } from "../../call/env.ts";
import type { Incoming, Told } from "../../call/incoming.ts";
import { discard, type Outcome } from "../../call/outcome.ts";
import { Abort } from "../../call/signal.ts";
import { settledOr } from "../../call/waiting.ts";
import { durationMs } from "../../policy/duration.ts";
import { type IdempotencyDefinition, idempotencyDefaults } from "./definition.ts";
import { parseKey } from "./key.ts";
import { type Reason, refusal } from "./refusal.ts";
import { type Lease, newLease } from "./lease.ts";

/** Lets a call through to the work, or not. */
export type Receive = <R>(next: Next<R>, call: Call, incoming: Incoming, store: AnswerStore) => Promise<Outcome<R>>;

/** A key that the call has taken. */
interface Held {
  readonly id: string;
  readonly token: string;
  readonly store: AnswerStore;
}

export function receiving(definition: IdempotencyDefinition, env: Env, label: string): Receive {
  const { required = false, scope, name } = definition;
  const header = definition.header ?? idempotencyDefaults.header;
  const field = header.toLowerCase();
  const methods = new Set<string>(definition.methods ?? idempotencyDefaults.methods);
  const anyMethod = methods.has("*");
  const buffer = definition.buffer ?? idempotencyDefaults.buffer;
  const forget = new Set(definition.forget);
  const terms: Terms = {
    leaseMs: durationMs(definition.lease ?? idempotencyDefaults.lease),
    keepMs: durationMs(definition.keep ?? idempotencyDefaults.keep),
    repeat: definition.unknown === "repeat",
  };

  function report(call: Call, what: string, detail?: Readonly<Record<string, unknown>>): void {
    env.report(call, { layer: label, kind: "idempotency", what, ...(detail === undefined ? {} : { detail }) });
  }

  function refused(reason: Reason, call: Call, why?: unknown): Outcome<never> {
    report(call, "refused", { reason, ...(why instanceof Error ? { error: why.message } : {}) });
    return refusal(reason, call, label, header);
  }

  /** RPCs have no method that tells whether they are to be looked at, so the key does. */
  const applies = ({ method, record }: Call, given: string | undefined): boolean =>
    anyMethod || methods.has(method) || (record.protocol === "grpc" && given !== undefined && definition.methods === undefined);

  /** What the key is called in the store: nobody gets at the key of another scope or policy, whatever they send. */
  function idOf(call: Call, key: string): string {
    const owner = scope === undefined ? "" : (fieldOf(call, scope.header.toLowerCase()) ?? "");
    return digestOf(JSON.stringify([name ?? call.record.policy, owner, key]));
  }

  /** What became of the work is written down. */
  async function written(told: Told, call: Call, { id, token, store }: Held): Promise<void> {
    try {
      if (told === "none") {
        report(call, "lost");
        await store.renew(id, token, 0);
        return;
      }
      if (told === "too-long") report(call, "not-kept", { buffer });
      else if (forget.has(statusOf(told.status, call))) {
        report(call, "let-go", { status: told.status });
        return await store.giveUp(id, token);
      }
      const mine = await store.finish(id, token, told === "too-long" ? undefined : told, terms.keepMs);
      if (!mine) report(call, "outrun");
    } catch (error) {
      report(call, "not-stored", { error: String(error) });
    }
  }

  function done<R>(next: Next<R>, call: Call, incoming: Incoming, held: Held): Promise<Outcome<R>> {
    const { record, signal } = call;
    const before = record.sent;
    const forNobody = incoming.passedOn === true ? new Abort(undefined) : undefined;
    const ranOut = (): void => forNobody?.abort(new Error("premesh: nobody waits for the answer any more"));
    const lease: Lease = newLease(env.timers, terms.leaseMs, (ms) => held.store.renew(held.id, held.token, ms), ranOut);
    const answered = incoming.record(buffer, (told) => {
      if (lease.end()) void written(told, call, held);
    });
    // the caller may leave, and its deadline pass: what has been begun is brought to its end, so that there is an answer when it comes again
    // and whom it is passed on to does not know the key, so that it is not to be done again there
    const idempotent = incoming.passedOn === true ? call.idempotent : true;
    const working = next({ ...call, signal: forNobody, idempotent }).then((outcome) => {
      if (record.sent === before && lease.end()) void held.store.giveUp(held.id, held.token).catch(() => undefined); // it runs out
      answered?.(outcome);
      return outcome;
    });
    if (signal === undefined) return working;
    return new Promise((resolve) => {
      let headed = false;
      let gone = false;
      const left = (): void => {
        lease.last();
        if (headed) return incoming.cut(signal);
        gone = true;
        return resolve(abortedOutcome(signal, true));
      };
      signal.addEventListener("abort", left, { once: true });
      void working.then((outcome) => {
        headed = true;
        if (gone) return discard(outcome);
        whenEnded(outcome.end, () => signal.removeEventListener("abort", left));
        return resolve(outcome);
      });
    });
  }

  return async (next, call, incoming, store) => {
    const given = fieldOf(call, field);
    if (!applies(call, given)) return next(call);
    if (given === undefined) return required ? refused("missing", call) : next(call);
    const key = parseKey(given);
    if (key === undefined) return refused("malformed", call);
    const { signal } = call;
    const asked = await incoming.asked(buffer, signal);
    if (signal?.aborted === true) return gaveUpOutcome(signal);
    if ("not" in asked) return asked.not === "gone" ? abortedOutcome(undefined) : refused(asked.not, call);
    const id = idOf(call, key);
    const beginning = store.begin(id, asked.digest, terms).then(
      (begun) => ({ begun }),
      (error: unknown) => ({ error }),
    );
    if (!(await settledOr(beginning, signal))) {
      void beginning.then((late) => ("begun" in late ? freed(late.begun, id, store) : undefined)).catch(() => undefined);
      return gaveUpOutcome(signal);
    }
    const known = await beginning;
    if ("error" in known) return refused("store-away", call, known.error);
    const { begun } = known;
    if (begun.state === "full") return refused("full", call);
    if (begun.state === "begun") {
      if (begun.again) report(call, "repeated");
      return done(next, call, incoming, { id, token: begun.token, store });
    }
    if (begun.asked !== asked.digest) return refused("reused", call);
    if (begun.state !== "done") return refused(begun.state, call);
    if (begun.answer === undefined) return refused("not-kept", call);
    report(call, "replayed", { status: begun.answer.status });
    return incoming.replay(begun.answer) as Awaited<ReturnType<typeof next>>; // the cast: layers are built without knowing the transport's R
  };
}

const freed = (begun: Begun, id: string, store: AnswerStore): Promise<void> | undefined =>
  begun.state === "begun" ? store.giveUp(id, begun.token) : undefined;

const statusOf = (status: number, { record }: Call): number => (record.protocol === "grpc" ? httpStatusOf(status as Code) : status); // the cast: it was a code when it was kept

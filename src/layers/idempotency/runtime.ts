// The idempotency layer at work: on calls that go out it puts a key, and calls that come in are done once for each key.
import { randomUUID } from "node:crypto";
import type { AnswerStore } from "../../call/answers.ts";
import type { Build } from "../../call/build.ts";
import { type Call, type CallRecord, fieldOf, withField } from "../../call/call.ts";
import { type IdempotencyDefinition, idempotencyDefaults } from "./definition.ts";
import { type MadeRoom, type MemoryStore, memoryStore } from "./memory.ts";
import { receiving } from "./receive.ts";

/** The answers of calls that come in; `undefined`: none do. Without `memory` they are in the store that processes share. */
type State = { readonly store: AnswerStore; readonly memory: MemoryStore | undefined } | undefined;

export const buildIdempotency: Build<IdempotencyDefinition, State> = (definition, env, { label, insideRetry, inbound }) => {
  const header = (definition.header ?? idempotencyDefaults.header).toLowerCase();
  const methods = new Set<string>(definition.methods ?? idempotencyDefaults.methods);
  const anyMethod = methods.has("*");
  const receive = inbound ? receiving(definition, env, label) : undefined;
  const shared = definition.store === "shared" ? env.shared : undefined;
  /** Inside `retry` the layer sees each attempt; the key stays that of the call. */
  const keys = insideRetry ? new WeakMap<CallRecord, string>() : undefined;
  const newKey = (record: CallRecord): string => {
    const key = keys?.get(record) ?? record.id ?? randomUUID();
    keys?.set(record, key);
    return key;
  };

  /** A call that goes out, with its key. */
  function stamped(call: Call): Call {
    const given = call.idempotencyKey;
    if (given === undefined && fieldOf(call, header) !== undefined) return { ...call, idempotent: call.idempotent ?? true };
    if (given === undefined && !anyMethod && !methods.has(call.method)) return call;
    return { ...withField(call, header, quoted(given ?? newKey(call.record))), idempotent: call.idempotent ?? true };
  }

  function newStore(): State {
    if (!inbound) return undefined;
    if (shared !== undefined) return { store: shared.answers, memory: undefined };
    const madeRoom = (what: MadeRoom): void => env.report(undefined, { layer: label, kind: "idempotency", what });
    const memory = memoryStore(env.now, { ...idempotencyDefaults.bounds, ...definition.bounds }, madeRoom);
    return { store: memory, memory };
  }

  return {
    newState: (before) => ((before?.memory === undefined) === (shared !== undefined) ? before : undefined) ?? newStore(),
    handsOn: "idempotency",
    layer: (state) => (next) => (call) => {
      const { incoming } = call.payload;
      if (incoming === undefined) return next(stamped(call));
      return receive === undefined || state === undefined ? next(call) : receive(next, call, incoming, state.store);
    },
    ...(inbound ? { show: (state) => ({ status: () => ({ ...state?.memory?.count() }) }) } : {}),
  };
};

/** A structured-field string (RFC 8941, 3.3.3); one that is quoted already stays. */
function quoted(key: string): string {
  return /^"(?:[^"\\]|\\.)*"$/.test(key) ? key : `"${key.replace(/["\\]/g, "\\$&")}"`;
}

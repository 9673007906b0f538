// The idempotency layer at work, on the side that calls.
import { randomUUID } from "node:crypto";
import { type Build, stateless } from "../../call/build.ts";
import { type CallRecord, fieldOf, withField } from "../../call/call.ts";
import { type IdempotencyDefinition, idempotencyDefaults } from "./definition.ts";

export const buildIdempotency: Build<IdempotencyDefinition> = (definition, _env, { insideRetry }) => {
  const header = (definition.header ?? idempotencyDefaults.header).toLowerCase();
  const methods = new Set<string>(definition.methods ?? idempotencyDefaults.methods);
  const anyMethod = methods.has("*");
  /** Inside `retry` the layer sees each attempt; the key stays that of the call. */
  const keys = insideRetry ? new WeakMap<CallRecord, string>() : undefined;
  const newKey = (record: CallRecord): string => {
    const key = keys?.get(record) ?? record.id ?? randomUUID();
    keys?.set(record, key);
    return key;
  };
  return stateless((next) => (call) => {
    const given = call.idempotencyKey;
    if (given === undefined && fieldOf(call, header) !== undefined) return next({ ...call, idempotent: call.idempotent ?? true });
    if (given === undefined && !anyMethod && !methods.has(call.method)) return next(call);
    return next({ ...withField(call, header, quoted(given ?? newKey(call.record))), idempotent: call.idempotent ?? true });
  });
};

/** A structured-field string (RFC 8941, 3.3.3); one that is quoted already stays. */
function quoted(key: string): string {
  return /^"(?:[^"\\]|\\.)*"$/.test(key) ? key : `"${key.replace(/["\\]/g, "\\$&")}"`;
}

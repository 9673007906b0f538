// The idempotency layer at work, on the side that calls.
import { randomUUID } from "node:crypto";
import type { Build } from "../../call/build.ts";
import { fieldOf, withField } from "../../call/call.ts";
import { type IdempotencyDefinition, idempotencyDefaults } from "./definition.ts";

export const buildIdempotency: Build<IdempotencyDefinition> = (definition) => {
  const header = (definition.header ?? idempotencyDefaults.header).toLowerCase();
  const methods = new Set<string>(definition.methods ?? idempotencyDefaults.methods);
  const anyMethod = methods.has("*");
  return {
    layer: (next) => (call) => {
      const given = call.idempotencyKey;
      if (given === undefined && fieldOf(call, header) !== undefined) return next({ ...call, idempotent: call.idempotent ?? true });
      if (given === undefined && !anyMethod && !methods.has(call.method)) return next(call);
      return next({ ...withField(call, header, quoted(given ?? randomUUID())), idempotent: call.idempotent ?? true });
    },
  };
};

/** A structured-field string (RFC 8941, 3.3.3); one that is quoted already stays. */
function quoted(key: string): string {
  return /^"(?:[^"\\]|\\.)*"$/.test(key) ? key : `"${key.replace(/["\\]/g, "\\$&")}"`;
}

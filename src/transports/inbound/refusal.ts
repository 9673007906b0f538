// Refusal: what whoever asked is told when a layer has ended a call that came in: a status, when to come again, and a problem in words (RFC 9457).
import { STATUS_CODES } from "node:http";
import type { CallRecord } from "../../call/call.ts";
import { httpStatusOf } from "../../call/codes.ts";
import type { Failure, Outcome, Reply } from "../../call/outcome.ts";
import { thrown } from "../../call/refusal.ts";
import { PolicyError } from "../../policy/error.ts";
import { rateLimitFields } from "./rate-limit-fields.ts";
import type { Fields } from "./recording.ts";

/** An answer in the place of the work's. */
export interface InPlace {
  readonly status: number;
  readonly fields: Fields;
  readonly body: string | Uint8Array;
  readonly trailers?: Fields;
}

/** The header that says that a `fallback` layer answered; its value is the policy's name. */
const FALLBACK_FIELD = "premesh-fallback";

/** When to come again where a layer cannot know: those who wait for a place free one soon. */
const BULKHEAD_RETRY_MS = 1_000;

/** The answer; `undefined`: there is nobody to answer, or the work's own framework does. */
export function inPlaceOf(outcome: Outcome<unknown>, record: CallRecord): InPlace | undefined {
  if (outcome.reply !== undefined) return made(outcome.reply, outcome.fallback);
  if (outcome.ok || outcome.by === "caller" || outcome.by === "peer") return undefined;
  return refused(outcome, record);
}

function made({ status, headers, body }: Reply, fallback: string | undefined): InPlace {
  const fields = Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value] as const);
  const typed = fields.some(([name]) => name === "content-type");
  return {
    status,
    fields: [
      ...fields,
      ...(typed || body === undefined
        ? []
        : [["content-type", typeof body === "string" ? "text/plain;charset=UTF-8" : "application/json"] as const]),
      ...(fallback === undefined ? [] : [[FALLBACK_FIELD, fallback] as const]),
    ],
    body: body === undefined ? "" : typeof body === "string" ? body : JSON.stringify(body),
  };
}

/** What no status of the layer's own says: too many calls by key or at a time, or too late. */
const statusOf = ({ by, status, code }: Failure<unknown>): number =>
  status ?? (by === "rateLimit" ? 429 : by === "timeout" ? 504 : httpStatusOf(code));

/** What a refusal says, in words of HTTP. */
export function refused(failure: Failure<unknown>, record: CallRecord): InPlace {
  const { layer } = failure;
  const error = thrown(failure, record);
  const status = statusOf(failure);
  const code = error instanceof PolicyError ? { code: error.code, policy: record.policy, layer } : {};
  return problem(status, error instanceof Error ? error.message : String(error), code, whenAgain(failure));
}

/** When to come again, and the limit that was met. */
function whenAgain({ by, layer, limit, retryAfterMs = by === "bulkhead" ? BULKHEAD_RETRY_MS : undefined }: Failure<unknown>): Fields {
  const known = retryAfterMs !== undefined && Number.isFinite(retryAfterMs);
  return [
    ...(known ? [["retry-after", String(Math.max(1, Math.ceil(retryAfterMs / 1_000)))] as const] : []),
    ...(limit === undefined ? [] : rateLimitFields(layer, limit)),
  ];
}

/** The call never came to a layer, or was broken in one. */
export function brokenInPlace(error: unknown): InPlace {
  const closed = error instanceof PolicyError && error.code === "ERR_PREMESH_CLIENT_CLOSED";
  if (closed) return problem(503, "this service is shutting down", { code: error.code }, [["retry-after", "1"]]);
  return problem(500, "a policy could not be carried out", {}, []);
}

function problem(status: number, detail: string, more: object, fields: Fields): InPlace {
  const body = JSON.stringify({ title: STATUS_CODES[status] ?? "", status, detail, ...more });
  return { status, fields: [["content-type", "application/problem+json"], ["cache-control", "no-store"], ...fields], body };
}

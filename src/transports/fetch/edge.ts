// The edge of `fetch`: an outcome becomes a Response or a thrown error.
import type { CallRecord } from "../../call/call.ts";
import type { Outcome, Reply } from "../../call/outcome.ts";
import { thrown } from "../../call/refusal.ts";

/** The header that says that a `fallback` layer answered; its value is the policy's name. */
const FALLBACK_FIELD = "premesh-fallback";

/** The response of the call; a failure that has none is thrown. */
export function fetchResult(outcome: Outcome<Response>, record: CallRecord): Response {
  if (outcome.reply !== undefined) return made(outcome.reply, outcome.fallback);
  if (outcome.response === undefined) throw thrown(outcome as Extract<typeof outcome, { ok: false }>, record); // the cast: a success has a response or a reply
  return outcome.fallback === undefined ? outcome.response : marked(outcome.response, outcome.fallback);
}

function made({ status, headers, body }: Reply, fallback: string | undefined): Response {
  const text = body === undefined ? null : typeof body === "string" ? body : JSON.stringify(body);
  const response = new Response(text, { status, headers });
  if (text !== null && typeof body !== "string" && !Object.keys(headers).some((name) => name.toLowerCase() === "content-type")) {
    response.headers.set("content-type", "application/json");
  }
  if (fallback !== undefined) response.headers.set(FALLBACK_FIELD, fallback);
  return response;
}

/** Headers that came from the wire cannot be changed, so the response is made anew around the same body. */
function marked(response: Response, fallback: string): Response {
  const { status, statusText, url, redirected, type } = response;
  const headers = new Headers(response.headers);
  headers.set(FALLBACK_FIELD, fallback);
  const rebuilt = new Response(response.body, { status, statusText, headers });
  return Object.defineProperties(rebuilt, { url: { value: url }, redirected: { value: redirected }, type: { value: type } });
}

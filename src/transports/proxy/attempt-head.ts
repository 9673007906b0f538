// The head of an attempt: that of the request, with what layers, a span and the deadline add, and the place it goes to.
import type { AttemptSpan, Call } from "../../call/call.ts";
import type { Destination, Fields, RequestHead } from "../../wire/wire.ts";
import { valueOf } from "./field-names.ts";
import { timeoutField } from "./grpc.ts";
import type { ProxyPayload } from "./payload.ts";

export interface Addressed {
  readonly to: Destination;
  readonly head: RequestHead;
}

/** `nth`: which send of the call it is. */
export function addressed(call: Call, payload: ProxyPayload, nth: number, span: AttemptSpan | undefined): Addressed {
  const { head } = payload.request;
  const fields = fieldsOf(call, payload, nth, span);
  const { origin, endpoint, authority } = call;
  if (origin === undefined && endpoint === undefined) {
    const name = authority ?? head.authority;
    return { to: payload.to, head: { ...head, authority: name, scheme: schemeOf(payload.to.origin), fields } };
  }
  // as transports/fetch/destination.ts has it: the peer is called by the name that the caller used, unless a layer says otherwise
  const there = origin === undefined ? undefined : new URL(origin);
  const url = endpoint?.url ?? there ?? payload.to.origin;
  const name = authority ?? there?.host ?? head.authority;
  if (payload.to.tunnel === true) return { to: { ...payload.to, origin: plainly(url) }, head: { ...head, authority: name, fields } };
  return { to: { origin: url, version: payload.to.version }, head: { ...head, authority: name, scheme: schemeOf(url), fields } };
}

/** The same address, where bytes alone are to go, whatever they are. */
const plainly = ({ protocol, hostname, port }: URL): URL =>
  new URL(`http://${hostname}:${port === "" && protocol === "https:" ? 443 : port}`);

const schemeOf = ({ protocol }: URL): "http" | "https" => (protocol === "https:" ? "https" : "http");

const NEVER = Number.POSITIVE_INFINITY;

function fieldsOf(call: Call, payload: ProxyPayload, nth: number, span: AttemptSpan | undefined): Fields {
  const { request, context } = payload;
  const fields = payload.attemptFields();
  if (span !== undefined && span.fields.length > 0) for (const [name, value] of span.fields) fields.push(name, value);
  else for (const one of request.trace) fields.push(one);
  for (let field = call.added; field !== undefined; field = field.before) {
    if (valueOf(fields, field.name) === undefined) fields.push(field.name, field.value);
  }
  fields.push("x-envoy-attempt-count", String(nth));
  const { deadline, endBy } = call;
  if (deadline !== NEVER || endBy !== NEVER) {
    const now = context.door.env.now();
    if (deadline !== NEVER) fields.push("x-envoy-expected-rq-timeout-ms", String(Math.max(1, Math.ceil(deadline - now))));
    // nobody knows whether the answer is a stream, which a time for the head must not end
    if (request.isGrpc && endBy !== NEVER) fields.push("grpc-timeout", timeoutField(endBy - now));
  }
  if (request.isGrpc) {
    fields.push("te", "trailers");
    const previous = request.previousAttempts + nth - 1;
    if (previous > 0) fields.push("grpc-previous-rpc-attempts", String(previous));
  }
  return fields;
}

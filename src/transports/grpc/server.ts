// serverInterceptor: the policies for calls that come in, around the handlers of a grpc-js server.
import type { Client } from "../../client.ts";
import { type Call, newCall, type Payload } from "../../call/call.ts";
import type { Outcome } from "../../call/outcome.ts";
import { newRecord } from "../../call/record.ts";
import { Abort } from "../../call/signal.ts";
import { PolicyError } from "../../policy/error.ts";
import { type Door, doorOf, type Ruled } from "../door.ts";
import { deadlinePassed } from "../inbound/deadline.ts";
import { Replayed } from "../inbound/replay.ts";
import { INBOUND_TARGET } from "../inbound/target.ts";
import { brokenStatus, statusOf } from "./edge.ts";
import { type InboundWire, type Metadata, type ServerInterceptor, ServerInterceptingCall, type SentStatus } from "./grpc-js.ts";
import { type MessageForm, messageForms } from "./messages-in.ts";
import { ServerCall } from "./server-call.ts";
import type { ServiceShape } from "./services.ts";

export interface ServerSettings {
  /**
   * Definitions of the services that are served, as `addService` takes them. Answers that are kept under a key are then kept as the bytes of their messages,
   * which other processes can read, too. Default none: they are kept as V8 clones them, which messages of protoc's own generator cannot be.
   */
  readonly services?: readonly ServiceShape[];
}

/** How long whoever is refused is to wait before it sends again: gRFC A6. */
const PUSHBACK_FIELD = "grpc-retry-pushback-ms";

/**
 * An interceptor for a server of `@grpc/grpc-js`: the client's policies for calls that come in (`match` with `service` and `inbound: true`). An RPC that no
 * policy matches goes through as if premesh were not there. The caller's deadline always counts.
 *
 * Errors: `ERR_PREMESH_INVALID_OPTIONS` when it is not given a client, or when a policy for calls that come in has a layer that cannot be run here, such as
 * `retry`. What a policy refuses is a status: `RESOURCE_EXHAUSTED`, `UNAVAILABLE`, `DEADLINE_EXCEEDED` and so on.
 *
 * @example
 * ```ts
 * const server = new Server({ interceptors: [serverInterceptor(client)] });
 * ```
 */
export function serverInterceptor(client: Client, settings: ServerSettings = {}): ServerInterceptor {
  const door = doorOf(client, "serverInterceptor");
  // the casts: callers without types may pass anything
  if (typeof settings !== "object" || (settings as unknown) === null || !Array.isArray(settings.services ?? []))
    throw new PolicyError("ERR_PREMESH_INVALID_OPTIONS", "serverInterceptor: services must be a list of service definitions");
  door.acceptInbound();
  const formOf = messageForms(settings.services ?? []);
  return ({ path, requestStream, responseStream }, wire) => {
    const method = path.replace(/^\//, "");
    const ruled = door.findRpc((wire.getHost() ?? "").toLowerCase(), method, "inbound");
    if (ruled === undefined) return new ServerInterceptingCall(wire);
    return guarded(door, ruled, wire, method, requestStream || responseStream, formOf(method));
  };
}

function guarded(door: Door, ruled: Ruled, wire: InboundWire, method: string, streamed: boolean, form: MessageForm): ServerCall {
  const { env } = door;
  const { now } = env;
  const left = new Abort(undefined);
  const record = newRecord(ruled, "grpc", INBOUND_TARGET, method, now(), "inbound");
  const deadline = wire.getDeadline();
  const remainingMs = deadline === Number.POSITIVE_INFINITY ? deadline : Math.max(0, Number(deadline) - Date.now());
  const server = new ServerCall(wire, {
    method,
    streamed,
    form,
    left,
    now,
    begin: (metadata) => void begun(metadata),
    whyLeft: () =>
      now() - record.startedAt >= remainingMs
        ? deadlinePassed(record, remainingMs)
        : new DOMException("whoever asked has left", "AbortError"),
  });

  async function begun(metadata: Metadata): Promise<void> {
    const payload: Payload = { replayable: false, incoming: server.incoming };
    const call = newCall({
      record,
      metadata: { get: (name) => (name === ":path" ? `/${method}` : textIn(metadata, name)) },
      signal: left,
      idempotent: undefined,
      idempotencyKey: undefined,
      payload,
      send: (attempt) => server.send(attempt),
      deadline: record.startedAt + remainingMs,
    });
    try {
      await door.through(ruled, call, (outcome) => concluded(outcome, call, server, metadata));
    } catch (error) {
      server.answer(brokenStatus(error));
    }
  }
  return server;
}

/** The handler's metadata is what telemetry and `client.explain` know the call by. */
function concluded(outcome: Outcome<unknown>, { record }: Call, server: ServerCall, metadata: Metadata): Metadata {
  const { response } = outcome;
  if (response instanceof Replayed) server.replay(response.answer);
  else if (response === undefined && (outcome.ok || outcome.by !== "caller")) {
    const status: SentStatus = statusOf(outcome, record);
    const retryAfterMs = outcome.ok ? undefined : outcome.retryAfterMs;
    if (retryAfterMs !== undefined) status.metadata?.set(PUSHBACK_FIELD, String(Math.ceil(retryAfterMs)));
    server.answer(status);
  }
  return metadata;
}

function textIn(metadata: Metadata, name: string): string | undefined {
  const values = metadata.get(name);
  return values.length === 0 ? undefined : values.map((value) => (typeof value === "string" ? value : value.toString("base64"))).join(", ");
}

// Entry: what an access log says of one exchange, by the names of Envoy's command operators
// (https://www.envoyproxy.io/docs/envoy/latest/configuration/observability/access_log/usage).
import type { CallRecord } from "../../call/call.ts";
import type { Destination, Exchange } from "../../wire/wire.ts";
import { isoTime } from "./date.ts";
import { valueOf } from "./field-names.ts";
import type { Why } from "./flags.ts";
import type { Request } from "./request.ts";

export interface Entry {
  /** When the request came, as ISO 8601. */
  readonly start_time: string;
  readonly method: string;
  readonly path: string;
  readonly protocol: "HTTP/1.0" | "HTTP/1.1" | "HTTP/2";
  /** 0: the client left before there was one. */
  readonly response_code: number;
  readonly response_code_details: string;
  /** What was out of order, in Envoy's letters, with commas between; `-`: nothing. */
  readonly response_flags: string;
  readonly bytes_received: number;
  readonly bytes_sent: number;
  /** Milliseconds until the response was over. */
  readonly duration: number;
  /** Milliseconds until the head of the upstream's response; `null`: there was none. */
  readonly upstream_service_time: number | null;
  readonly x_forwarded_for: string | null;
  readonly user_agent: string | null;
  readonly request_id: string;
  readonly authority: string;
  /** Where the attempt went whose response it is, or the last one; `null`: nothing was sent. */
  readonly upstream_host: string | null;
  /** The policy; `null`: none matched. */
  readonly upstream_cluster: string | null;
  /** How often it was sent. */
  readonly attempts: number;
  /** gRPC's status, where it was an RPC. */
  readonly grpc_status?: number | null;
}

/** What is known of the exchange from its beginning. `record`: it became a call. */
export interface Logged {
  readonly exchange: Exchange;
  readonly request: Request;
  readonly requestId: string;
  readonly record: CallRecord | undefined;
  readonly to: Destination | undefined;
  readonly received: number;
}

/** What is known at its end. */
export interface Ended {
  readonly why: Why;
  readonly status: number;
  readonly sent: number;
  readonly code: number | undefined;
  readonly serviceMs: number | undefined;
  readonly tookMs: number;
}

export function entryOf({ exchange, request, requestId, record, to, received }: Logged, ended: Ended): Entry {
  const { head, isGrpc, forwardedFor } = request;
  const { why, status, sent, code, serviceMs, tookMs } = ended;
  const attempts = record?.attempts ?? 0;
  return {
    start_time: isoTime(Date.now() - tookMs),
    method: head.method,
    path: head.path,
    protocol: PROTOCOLS[exchange.version],
    response_code: status,
    response_code_details: why.details,
    response_flags: why.flag,
    bytes_received: received,
    bytes_sent: sent,
    duration: Math.round(tookMs),
    upstream_service_time: serviceMs === undefined ? null : Math.round(serviceMs),
    x_forwarded_for: forwardedFor ?? null,
    user_agent: valueOf(head.fields, "user-agent") ?? null,
    request_id: requestId,
    authority: head.authority,
    upstream_host: attempts === 0 ? null : (record?.visits?.address.url.host ?? to?.socketPath ?? to?.origin.host ?? null),
    upstream_cluster: record === undefined || record.policy === "" ? null : record.policy,
    attempts,
    ...(isGrpc ? { grpc_status: code ?? null } : {}),
  };
}

export const PROTOCOLS = { "1.0": "HTTP/1.0", "1.1": "HTTP/1.1", "2": "HTTP/2" } as const;

// Limits: every bound that the wire keeps by itself, with its default.
import { defaultHttp2Limits, type Http2Limits } from "./http2/limits.ts";

export interface Limits extends Http2Limits {
  /** Bytes of a head, its first line included, or of a trailer section. Default: 64 KiB (Envoy 60 KiB). */
  readonly headBytes: number;
  /** Bytes of the first line. Default: 16 KiB. */
  readonly lineBytes: number;
  /** Fields of a head or of a trailer section. Default: 100, as Envoy. */
  readonly fields: number;
  /** Bytes of the extensions of one chunk. Default: 256. */
  readonly extensionBytes: number;
  /** Bytes of the extensions of all chunks of a body. Default: 16 KiB, as Node. */
  readonly extensionsBytes: number;
  /** Interim responses before a final one. Default: 100. */
  readonly interims: number;
  /** Connections of a listener; those beyond it are closed at once. Default: 10,000. */
  readonly connections: number;
  /** Connections to an upstream over HTTP/1.1; further requests wait for one. Default: 1,024, as Envoy. */
  readonly upstreamConnections: number;
  /** From the first byte of a head to its last. Default: 10 s, Envoy's advice for an edge. */
  readonly headMs: number;
  /** How long a body that is wanted may be silent. Default: 60 s. */
  readonly bodyMs: number;
  /** Bytes per second, on average after the first `bodyMs`, that a request's body of known length must come in with. Default: 240. */
  readonly bodyRate: number;
  /** How long a peer may take nothing of what is sent to it. Default: 60 s. */
  readonly stallMs: number;
  /** How long a connection of a client may be idle between requests. Default: 5 min. */
  readonly idleMs: number;
  /** How long an upstream's connection is kept for the next request, unless it says a shorter time itself. Default: 4 s: many servers close after 5. */
  readonly keepMs: number;
  /** From the beginning of a connection to an upstream until it stands, TLS included. Default: 5 s, as Envoy. */
  readonly connectMs: number;
  /** How long a connection that is closed on a peer's mistake is still read, so that it sees the answer. Default: 1 s. */
  readonly lingerMs: number;
  /** How long a connection that drains waits, idle, for a request that may be on its way. Default: 1 s. */
  readonly leaveMs: number;
  /** How long a tunnel may be silent before it counts as opaque: some protocols let the server begin. Default: 500 ms. */
  readonly sniffMs: number;
}

export const defaultLimits: Limits = {
  ...defaultHttp2Limits,
  headBytes: 64 * 1024,
  lineBytes: 16 * 1024,
  fields: 100,
  extensionBytes: 256,
  extensionsBytes: 16 * 1024,
  interims: 100,
  connections: 10_000,
  upstreamConnections: 1_024,
  headMs: 10_000,
  bodyMs: 60_000,
  bodyRate: 240,
  stallMs: 60_000,
  idleMs: 300_000,
  keepMs: 4_000,
  connectMs: 5_000,
  lingerMs: 1_000,
  leaveMs: 1_000,
  sniffMs: 500,
};

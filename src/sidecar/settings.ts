// Settings: all that a shim is told when it starts, and what they are by default.
import type { Policy } from "../policy/policy.ts";
import type { LogFormat } from "./log.ts";

export type AccessLogFormat = "json" | "text" | "off";

export interface SidecarSettings {
  /** Of premesh. */
  readonly version: string;
  /** The policies to begin with. */
  readonly policies: readonly Policy[];
  /** The file that they come from; it is watched, and read anew when it changes. */
  readonly file?: string | undefined;
  /** Where calls of the app come in that go out: `127.0.0.1:15001`, `unix:/run/premesh.sock`; `undefined`: none are taken. */
  readonly outbound?: string | undefined;
  /** Where calls to the app come in. */
  readonly inbound?: { readonly listen: string; readonly app: string } | undefined;
  /** Where the shim is looked after: loopback or a unix socket. */
  readonly admin?: string | undefined;
  /** The admin listener may be reached from other machines. */
  readonly adminOpen?: boolean | undefined;
  /** Where probes and Prometheus come from other machines: it answers `/healthz`, `/readyz` and `/metrics`, and nothing else. */
  readonly health?: string | undefined;
  /** The Redis that layers share by with other shims and processes: `redis://10.0.0.1:6379`. It may have a password in it, so it is told to nobody. */
  readonly shared?: string | undefined;
  /** Calls that no policy matches go through too. */
  readonly allowAny?: boolean | undefined;
  /** Whose orders (`x-envoy-*`, `premesh-*`) count besides those of local callers. */
  readonly trustInbound?: boolean | undefined;
  readonly accessLog?: AccessLogFormat | undefined;
  /** The file of the access log; `undefined`: stdout. */
  readonly accessLogFile?: string | undefined;
  readonly logFormat?: LogFormat | undefined;
  /** How long readiness says no before connections are told to go, in milliseconds. */
  readonly drainDelayMs?: number | undefined;
  /** How long calls under way may take to end, in milliseconds, from the moment on when connections are told to go. */
  readonly drainTimeMs?: number | undefined;
  /** Several processes may listen on the ports, and the kernel deals connections out among them (SO_REUSEPORT). */
  readonly reusePort?: boolean | undefined;
}

/** Istio's numbers. */
export const OUTBOUND = "127.0.0.1:15001";
export const ADMIN = "127.0.0.1:15000";

/** Below the 30 s that Kubernetes gives a pod to end. */
export const DRAIN_TIME_MS = 25_000;
export const DRAIN_DELAY_MS = 0;

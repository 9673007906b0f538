// What the admin and the health listener answer.
import type { ClientStatus } from "../../call/status.ts";
import type { Policy } from "../../policy/policy.ts";
import { revision } from "../../policy/revision.ts";
import type { ReloadStatus } from "../reload/reload.ts";
import { PROMETHEUS_TEXT } from "../telemetry/reader.ts";
import { json, type Route } from "./server.ts";

export type State = "starting" | "ready" | "draining";

export interface ListenerStatus {
  readonly name: string;
  readonly address: string;
  readonly connections?: number;
  readonly exchanges?: number;
}

/** What can be seen of a shim. */
export interface Shown {
  readonly version: string;
  readonly state: () => State;
  readonly policies: () => readonly Policy[];
  readonly reload: () => ReloadStatus | undefined;
  readonly listeners: () => readonly ListenerStatus[];
  readonly status: () => ClientStatus;
  readonly metrics: () => Promise<string>;
  readonly dropped: () => number;
  readonly allowAny: boolean;
}

/** What can be asked of it. */
export interface Commands {
  readonly drain: () => void;
  readonly quit: () => void;
}

/** Harmless to show to whoever reaches the listener. */
export function healthRoutes({ state, reload, metrics }: Shown): readonly Route[] {
  return [
    { method: "GET", path: "/healthz", answer: () => json(200, { status: "alive" }) },
    {
      method: "GET",
      path: "/readyz",
      // The state of upstreams is no part of it: a shim that is taken out since a peer is down makes an outage of a part one of the whole.
      answer: () => {
        const now = state();
        const lastError = reload()?.lastError;
        const policies =
          lastError === undefined ? "in force" : `the file is wrong since ${timeOf(lastError.atMs)}, and the last good ones are in force`;
        return json(now === "ready" ? 200 : 503, { status: now, policies });
      },
    },
    { method: "GET", path: "/metrics", answer: async () => ({ status: 200, type: PROMETHEUS_TEXT, body: await metrics() }) },
  ];
}

export function adminRoutes(shown: Shown, { drain, quit }: Commands): readonly Route[] {
  return [
    ...healthRoutes(shown),
    { method: "GET", path: "/config", answer: () => json(200, configOf(shown)) },
    { method: "GET", path: "/stats", answer: () => json(200, statsOf(shown)) },
    {
      method: "POST",
      path: "/drain",
      answer: () => {
        drain();
        return json(202, { status: "draining" });
      },
    },
    {
      method: "POST",
      path: "/quitquitquit",
      answer: () => {
        setImmediate(quit); // the answer goes first
        return json(202, { status: "ending" });
      },
    },
  ];
}

function configOf({ version, policies, reload, listeners, allowAny }: Shown): unknown {
  const read = reload();
  return {
    version,
    listeners: listeners().map(({ name, address }) => ({ name, address })),
    allowAny,
    source:
      read === undefined
        ? null
        : {
            file: read.file,
            lastReadAt: timeOf(read.lastSucceededAtMs),
            reloads: { succeeded: read.succeeded, failed: read.failed },
            lastError: read.lastError === undefined ? null : { at: timeOf(read.lastError.atMs), problems: read.lastError.problems },
          },
    policies: policies().map((policy) => Object.assign({ revision: revision(policy) }, policy)),
  };
}

function statsOf({ version, state, listeners, status, dropped }: Shown): unknown {
  const { rss, heapUsed, heapTotal, external } = process.memoryUsage();
  return {
    version,
    state: state(),
    uptimeSeconds: Math.round(process.uptime()),
    listeners: listeners(),
    memory: { rss, heapUsed, heapTotal, external },
    droppedLogLines: dropped(),
    policies: status().policies,
  };
}

const timeOf = (ms: number): string => new Date(ms).toISOString();

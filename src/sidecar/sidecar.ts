// startSidecar: puts a shim together: policies, listeners, the proxy between them, and what looks after it.
import { randomBytes } from "node:crypto";
import { systemTimers } from "../call/clock.ts";
import { createClient } from "../client.ts";
import type { Direction } from "../policy/matching.ts";
import type { Policy } from "../policy/policy.ts";
import { readPolicyFile } from "../policy-files/read.ts";
import { doorOf } from "../transports/door.ts";
import { type Entry, entryOf } from "../transports/proxy/entry.ts";
import { newOwnAddresses } from "../transports/proxy/own.ts";
import { proxyStatus } from "../transports/proxy/proxy-status.ts";
import { newProxy } from "../transports/proxy/proxy.ts";
import { listen } from "../wire/listen.ts";
import { createUpstreams } from "../wire/upstreams.ts";
import type { Listener } from "../wire/wire.ts";
import { whyNot } from "./addresses.ts";
import { openAdmin } from "./admin/open.ts";
import type { ListenerStatus, Shown } from "./admin/routes.ts";
import { destinationOf } from "./app.ts";
import { type Drained, newDrain } from "./drain.ts";
import type { Log } from "./log.ts";
import { newReload, type Reload } from "./reload/reload.ts";
import { watchFile } from "./reload/watch.ts";
import { DRAIN_DELAY_MS, DRAIN_TIME_MS, type SidecarSettings } from "./settings.ts";
import { sharedStore } from "./shared.ts";
import { newRequestMetrics } from "./telemetry/request-metrics.ts";
import type { Telemetry } from "./telemetry/telemetry.ts";

/** What a shim has from its process. */
export interface Surroundings {
  readonly log: Log;
  readonly telemetry: Telemetry;
  /** Takes what the access log says of each request. */
  readonly accessLog: ((entry: Entry, direction: Direction) => void) | undefined;
  /** How many lines of logs were dropped. */
  readonly dropped: () => number;
  /** Somebody asks over the admin listener that the process end. */
  readonly quit: () => void;
}

/** Where a shim listens, as it came to be. */
export type Addresses = Readonly<Partial<Record<Direction | "admin" | "health", string>>>;

export interface Sidecar {
  readonly addresses: Addresses;
  /** Reads the file of policies anew; nothing where there is none. */
  readonly reload: () => Promise<void>;
  /** Leaves: see {@link newDrain}. The admin listener answers until {@link Sidecar.stop}. */
  readonly drain: () => Promise<Drained>;
  /** Ends at once what is left. Never rejects. */
  readonly stop: () => Promise<void>;
}

/** Rejects with an Error for whoever starts it, when it cannot listen; then nothing listens. */
export async function startSidecar(settings: SidecarSettings, surroundings: Surroundings): Promise<Sidecar> {
  const { file, outbound, inbound, admin, health, allowAny = false, trustInbound = false, reusePort = false } = settings;
  const { log, telemetry, accessLog, quit } = surroundings;
  let policies = settings.policies;
  const shared = settings.shared === undefined ? undefined : await sharedStore(settings.shared);
  const client = createClient({ policies, sidecar: false, ...(shared === undefined ? {} : { shared }) });
  const listeners = new Map<Direction, Listener>();
  const addresses: Partial<Record<keyof Addresses, string>> = {};
  const forbidden = newOwnAddresses(() => Object.values(addresses));
  const upstreams = createUpstreams({ forbidden });
  const via = `premesh-${randomBytes(4).toString("hex")}`;
  const closing: (() => void | Promise<void>)[] = [];
  let ready = false;

  const reload = file === undefined ? undefined : reloadOf(file);
  const drain = newDrain({
    listeners: () => [...listeners.values()],
    delayMs: settings.drainDelayMs ?? DRAIN_DELAY_MS,
    timeMs: settings.drainTimeMs ?? DRAIN_TIME_MS,
    timers: systemTimers,
    begun: () => log("info", "draining", "drains: is ready no more, and lets what is under way end"),
    late: (exchanges) => log("warn", "late", `broke what had not ended in time: ${exchanges} requests`, { exchanges }),
  });
  const metrics = newRequestMetrics(telemetry.meter, {
    listeners: () => [...listeners].map(([direction, listener]) => ({ direction, count: () => listener.count() })),
    draining: drain.draining,
    reloads: () => reload?.status(),
    dropped: surroundings.dropped,
  });

  function reloadOf(path: string): Reload {
    const made = newReload({
      file: path,
      policies,
      read: () => readPolicyFile(path, { apart: true }),
      apply: (next: readonly Policy[]) => {
        client.update(next);
        policies = next;
      },
      log,
      wall: Date.now,
    });
    const watching = watchFile(path, () => void made.reload());
    closing.push(watching.close, made.close);
    return made;
  }

  async function open(direction: Direction, address: string, app?: string): Promise<void> {
    const proxy = newProxy({
      door: doorOf(client, "startSidecar"),
      upstreams,
      direction,
      ...(app === undefined ? {} : { app: destinationOf(app) }),
      allowAny,
      trusts: direction === "outbound" ? ({ local }) => local : () => trustInbound,
      via,
      draining: drain.draining,
      onOver: (logged, ended) => {
        metrics.record(logged, ended, direction);
        accessLog?.(entryOf(logged, ended), direction);
      },
    });
    const refusalFields = ["proxy-status", proxyStatus(via, "http_request_error", "what came is no request that is taken")];
    const listener = await listen(address, { exchange: proxy, reusePort, refusalFields }).catch((error: unknown) => {
      throw new Error(whyNot(error, address, direction), { cause: error });
    });
    listeners.set(direction, listener);
    addresses[direction] = listener.address;
    log("info", "listening", `${direction} listens on ${listener.address}`, { listener: direction, address: listener.address });
  }

  const shown: Shown = {
    version: settings.version,
    state: () => (drain.draining() ? "draining" : ready ? "ready" : "starting"),
    policies: () => policies,
    reload: () => reload?.status(),
    listeners: () =>
      Object.entries(addresses).map(([name, address]): ListenerStatus =>
        Object.assign({ name, address }, listeners.get(name as Direction)?.count()),
      ), // the cast: others are not found
    status: () => client.status(),
    metrics: telemetry.text,
    dropped: surroundings.dropped,
    allowAny,
  };

  async function stop(): Promise<void> {
    drain.cut();
    for (const listener of listeners.values()) listener.destroy();
    for (const close of closing.toReversed()) await close();
    await Promise.all([client.close(), upstreams.close()]);
    await shared?.close();
  }

  try {
    for (const [name, address] of [
      ["admin", admin],
      ["health", health],
    ] as const) {
      if (address === undefined) continue;
      const commands = name === "admin" ? { drain: () => void drain.begin().then(quit), quit } : undefined;
      const opened = await openAdmin(address, shown, commands).catch((error: unknown) => {
        throw new Error(whyNot(error, address, name), { cause: error });
      });
      closing.unshift(opened.close);
      addresses[name] = opened.address;
      log("info", "listening", `${name} listens on ${opened.address}`, { listener: name, address: opened.address });
    }
    if (outbound !== undefined) await open("outbound", outbound);
    if (inbound !== undefined) await open("inbound", inbound.listen, inbound.app);
  } catch (error) {
    await stop();
    throw error;
  }
  if (policies.length === 0 && !allowAny)
    log("warn", "no-policies", "there are no policies, so nothing goes through; name a file, or say --allow-any");
  ready = true;
  log("info", "ready", `ready, ${policies.length} ${policies.length === 1 ? "policy" : "policies"} in force`, {
    policies: policies.map(({ name }) => name),
  });
  return { addresses, reload: () => reload?.reload() ?? Promise.resolve(), drain: drain.begin, stop };
}

// Gauges: the state of layers, read off when metrics are collected.
import type { Attributes, BatchObservableResult, Meter, Observable } from "@opentelemetry/api";
import type { ClientStatus, LayerStatus } from "../call/status.ts";

/** How many targets and endpoints of a policy are shown: an SDK keeps 2,000 attribute sets of an instrument, and a breaker takes four. */
const MOST_TARGETS = 400;

const BREAKER_STATES = ["closed", "open", "half-open", "isolated"] as const;

export interface Gauges {
  readonly close: () => void;
}

/** `status` is held weakly through its client: a client that nobody holds is not kept alive by its metrics. */
export function newGauges(meter: Meter, status: () => ClientStatus): Gauges {
  const gauge = (name: string, description: string, unit: string): Observable => meter.createObservableGauge(name, { description, unit });
  const breakerState = gauge("premesh.breaker.state", "1 for the state that a breaker is in, 0 for the others.", "");
  const inflight = gauge("premesh.limiter.inflight", "Calls that hold a place in a bulkhead.", "{call}");
  const limit = gauge(
    "premesh.limiter.limit",
    "How many calls a limiter lets through: at a time (bulkhead), or at once (rateLimit).",
    "{call}",
  );
  const queue = gauge("premesh.limiter.queue.length", "Calls that wait in the queue of a limiter.", "{call}");
  const budget = gauge("premesh.retry.budget.remaining", "Retries that the budget would still allow now.", "{retry}");
  const ejected = gauge("premesh.endpoint.ejected", "Endpoints of a route that outlier detection keeps out now.", "{endpoint}");
  const sidecar = gauge(
    "premesh.sidecar.up",
    "1 while the sidecar takes calls, 0 while the layers behind the seam run in the process.",
    "",
  );
  const info = gauge("premesh.policy.info", "1 for every policy in force; hash is its revision.", "");
  const all = [breakerState, inflight, limit, queue, budget, ejected, sidecar, info];

  const observeLayer = (result: BatchObservableResult, { kind, state }: LayerStatus, at: Attributes): void => {
    const observe = (observable: Observable, value: unknown): void => {
      if (typeof value === "number") result.observe(observable, value, at);
    };
    if (kind === "breaker") {
      for (const one of BREAKER_STATES) result.observe(breakerState, Number(state["phase"] === one), { ...at, state: one });
    } else if (kind === "bulkhead") {
      observe(inflight, state["active"]);
      observe(limit, state["limit"]);
      observe(queue, state["waiting"]);
    } else if (kind === "rateLimit") {
      observe(limit, state["burst"]);
      observe(queue, state["waiting"]);
    } else if (kind === "retry" || kind === "hedge") {
      observe(budget, state["remaining"]);
    } else if (kind === "route") {
      observe(ejected, state["ejected"]);
    } else if (kind === "sidecar") {
      if (state["phase"] !== "in-process") observe(sidecar, Number(state["phase"] === "up"));
    }
  };

  const weak = new WeakRef(status);
  const read = (result: BatchObservableResult): void => {
    const current = weak.deref();
    if (current === undefined) return close();
    for (const [policy, { revision, targets }] of Object.entries(current().policies)) {
      result.observe(info, 1, { "premesh.policy": policy, hash: revision });
      const shown = new Set<string>();
      for (const [target, layers] of Object.entries(targets)) {
        for (const layer of layers) {
          const { endpoint } = layer;
          if (shown.size >= MOST_TARGETS && !shown.has(`${target} ${endpoint ?? ""}`)) continue;
          shown.add(`${target} ${endpoint ?? ""}`);
          const at = { "premesh.policy": policy, "premesh.target": target, "premesh.layer": layer.layer };
          observeLayer(result, layer, endpoint === undefined ? at : { ...at, "premesh.endpoint": endpoint });
        }
      }
    }
  };
  const close = (): void => meter.removeBatchObservableCallback(read, all);
  meter.addBatchObservableCallback(read, all);
  return { close };
}

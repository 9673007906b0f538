// Plays one scene: the same calls bare and under the policy, at the same time, each against a peer of its own.
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { type Client, createClient, type Decision } from "../../src/index.ts";
import { newDice } from "./dice.ts";
import type { Sample } from "./figures.ts";
import { arrivals, drive, httpLanes, type Lanes } from "./load.ts";
import { grpcLanes } from "./load-grpc.ts";
import type { Protocol } from "./peer-process.ts";
import type { Scene } from "./scenes.ts";
import { openStage } from "./stage.ts";

/** What the breaker did, and when, in milliseconds since the scene began. */
export interface Transition {
  readonly at: number;
  readonly what: string;
  readonly why: string;
}

export interface Run {
  readonly scene: Scene;
  readonly lengthMs: number;
  readonly bare: Sample[];
  readonly premesh: Sample[];
  readonly transitions: Transition[];
  /** How often layers decided what: `retry retrying`, `breaker refused`. */
  readonly decisions: Map<string, number>;
  /** Requests that the peers have seen. */
  requests: { bare: number; premesh: number };
}

export function newRun(scene: Scene, lengthMs: number): Run {
  return { scene, lengthMs, bare: [], premesh: [], transitions: [], decisions: new Map(), requests: { bare: 0, premesh: 0 } };
}

/** Fills the run; rejects when it is stopped. Everything it has opened is closed when it settles. */
export async function play(run: Run, protocol: Protocol, stop: AbortSignal, onBegin: (began: number) => void): Promise<void> {
  const { scene, lengthMs } = run;
  const times = arrivals(lengthMs, scene.rate, newDice(2));
  const stage = await openStage(scene.kind, protocol);
  const client = createClient({ policies: [scene.policy], seed: 3 });
  const over = { http: httpLanes, grpc: grpcLanes }[protocol];
  await warmUp(scene, (fresh) => over(fresh, scene.policy.name, stage.addresses, stop));
  const { lanes, close } = over(client, scene.policy.name, stage.addresses, stop);
  const began = performance.now();
  const listener = (message: unknown): void => noteDecision(run, message as Decision, performance.now() - began); // the cast: what the channel carries
  const timers = (scene.down ?? []).map((share, index) => setTimeout(() => stage.setDown(index === 0), share * lengthMs));
  subscribe("premesh:decision", listener);
  onBegin(began);
  try {
    const [bareLane, premeshLane] = lanes;
    await Promise.all([drive(times, bareLane, began, run.bare, stop), drive(times, premeshLane, began, run.premesh, stop)]);
    const [bare = 0, premesh = 0] = await stage.requests();
    run.requests = { bare, premesh };
  } finally {
    unsubscribe("premesh:decision", listener);
    for (const timer of timers) clearTimeout(timer);
    await client.close();
    close();
    await stage.close();
  }
}

/** A first call loads what it needs, and code runs slowly at first: neither is a matter of bare or policy, so neither lane is charged for it. */
async function warmUp(scene: Scene, open: (client: Client) => Lanes): Promise<void> {
  const { warmUp: both, close } = open(createClient({ policies: [scene.policy] }));
  for (let call = 0; call < 20; call++) await Promise.all(both.map((send) => send()));
  close();
}

/** What a breaker does that is no decision about a call. */
export const TRANSITIONS: ReadonlySet<string> = new Set(["opened", "half-opened", "closed"]);

function noteDecision({ transitions, decisions }: Run, { layer, kind, what, detail = {} }: Decision, at: number): void {
  const key = `${layer} ${what}`;
  decisions.set(key, (decisions.get(key) ?? 0) + 1);
  if (kind === "breaker" && TRANSITIONS.has(what)) transitions.push({ at, what, why: reasonOf(detail) });
}

function reasonOf({ consecutive, failed, calls, reason }: NonNullable<Decision["detail"]>): string {
  if (typeof reason === "string") return reason;
  if (typeof consecutive === "number") return `${consecutive} failures in a row`;
  return typeof failed === "number" && typeof calls === "number" ? `${failed} of ${calls} failed` : "";
}

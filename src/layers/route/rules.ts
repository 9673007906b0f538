// Rules: the entries of one route as they are at work for one target. Entries with the same match are one rule; a rule is split by weight, and each
// part has a pool of endpoints. Entries of a later priority stand in for every part.
import type { Call } from "../../call/call.ts";
import type { Env } from "../../call/env.ts";
import { instanceText } from "../../policy/adopted.ts";
import type { RouteDefinition, RouteTarget } from "./definition.ts";
import { type Found, wordsOf } from "./discovery/found.ts";
import { bounded, sourceOf } from "./discovery/source.ts";
import { type Endpoint, newEndpoint, type Pool } from "./endpoint.ts";
import { type Fits, fitting } from "./match/match.ts";

/** Endpoints that share a weight. */
export interface Part {
  readonly weight: number;
  readonly pool: Pool;
  readonly members: ReadonlyMap<string, Endpoint>;
  /** An attempt has left an endpoint. */
  left(endpoint: Endpoint): void;
}

export interface Rule<P extends Part = Part> {
  /** `undefined`: every call fits. */
  readonly fits: Fits | undefined;
  readonly parts: readonly P[];
  /** What its sources failed with last, if none has given endpoints. */
  error(): unknown;
  /** Settles when every entry has had its first answer; `undefined`: that is so. Never rejects. */
  ready: Promise<void> | undefined;
}

/** The routing of one target. */
export interface Rules {
  readonly rules: readonly Rule[];
  /** Grows whenever an endpoint comes, leaves, or has been drained. */
  readonly version: number;
  /** Begins to find endpoints; only the first time does something. */
  open(): void;
  readonly close: () => void;
  /** Whether an endpoint is a member, or has attempts under way. */
  readonly knows: (key: string) => boolean;
  /** Counts something of the endpoints, those that are being drained too. */
  count(of: (endpoint: Endpoint) => number): number;
  /** What was found, by source, for a route that comes after this one. */
  remembered(): ReadonlyMap<string, Remembered>;
}

/** What one entry has found. */
interface Remembered {
  readonly found: readonly Found[];
  readonly endpoints: Map<string, Endpoint>;
}

export interface Making {
  readonly env: Pick<Env, "now" | "timers" | "random">;
  readonly newPool: () => Pool;
  readonly report: (call: Call | undefined, what: string, detail: Readonly<Record<string, unknown>>) => void;
}

/** One entry at work. */
interface Entry {
  readonly target: RouteTarget;
  /** Equal text, equal source. */
  readonly text: string;
  found: readonly Found[] | undefined;
  error: unknown;
}

interface RunningPart extends Part {
  readonly from: readonly Entry[];
  /** Those that have left, and have attempts under way. */
  readonly draining: ReadonlySet<Endpoint>;
  /** Some of its entries have found something else. */
  refresh(): void;
}

export function newRules({ to }: RouteDefinition, { env, newPool, report }: Making, before?: Rules): Rules {
  const known = before?.remembered();
  const groups = new Map<string, Entry[]>();
  for (const target of to) {
    const text = sourceText(target);
    const key = JSON.stringify(target.match ?? null);
    const entry: Entry = { target, text, found: known?.get(text)?.found, error: undefined };
    groups.set(key, [...(groups.get(key) ?? []), entry]);
  }
  const entries = [...groups.values()].flat();
  const closing: (() => void)[] = [];
  let opened = false;
  let version = 0;

  const rules = [...groups.values()].map((group): Rule<RunningPart> => {
    const weighted = group.some(({ target }) => target.weight !== undefined);
    const standIns = group.filter(({ target }) => (target.priority ?? 0) > 0);
    const first = group.filter((entry) => !standIns.includes(entry));
    const parts = weighted && first.length > 0 ? first.map((entry) => newPart([entry, ...standIns])) : [newPart(group)];
    return {
      fits: fitting(group[0]?.target.match),
      parts,
      error: () =>
        group.every(({ found = [] }) => found.length === 0) ? group.find(({ error }) => error !== undefined)?.error : undefined,
      ready: undefined,
    };
  });

  function newPart(from: readonly Entry[]): RunningPart {
    const pool = newPool();
    let members = new Map<string, Endpoint>();
    const draining = new Set<Endpoint>();
    return {
      weight: from[0]?.target.weight ?? 1,
      pool,
      from,
      draining,
      get members() {
        return members;
      },
      refresh: () => {
        const now = env.now();
        const next = new Map<string, Endpoint>();
        for (const { target, text, found = [] } of from) {
          const heirs = known?.get(text)?.endpoints;
          for (const one of found) if (!next.has(one.key)) next.set(one.key, endpointOf(one, target, members.get(one.key), heirs, now));
        }
        for (const [key, endpoint] of members) if (next.get(key) !== endpoint && endpoint.active > 0) draining.add(endpoint);
        members = next;
        version++;
        pool.update([...next.values()], now);
      },
      left: (endpoint) => {
        if (endpoint.active === 0 && draining.delete(endpoint)) version++;
      },
    };
  }

  function refreshed(entry: Entry): void {
    for (const { parts } of rules) for (const part of parts) if (part.from.includes(entry)) part.refresh();
  }

  function open(): void {
    if (opened) return;
    opened = true;
    for (const entry of entries) if (entry.found !== undefined) refreshed(entry);
    const firsts = new Map<Entry, Promise<void>>();
    for (const entry of entries) {
      const place = { entry: to.indexOf(entry.target) };
      let answered: (() => void) | undefined;
      const source = bounded(sourceOf(entry.target, env), (count) => report(undefined, "endpoints-cut", { ...place, found: count }));
      const close = source({
        found: (found) => {
          const old = entry.found;
          const news = old === undefined || differ(old, found);
          entry.error = undefined;
          if (news) {
            entry.found = found;
            refreshed(entry);
            if (old !== undefined) report(undefined, "endpoints-changed", { ...place, endpoints: found.length, before: old.length });
          }
          answered?.();
        },
        failed: (error) => {
          entry.error = error;
          report(undefined, "discovery-failed", { ...place, error: wordsOf(error), endpoints: entry.found?.length ?? 0 });
          answered?.();
        },
      });
      closing.push(close);
      if (entry.found === undefined) firsts.set(entry, new Promise((resolve) => (answered = resolve)));
    }
    for (const rule of rules) {
      const waiting = rule.parts.flatMap(({ from }) => from.flatMap((entry) => firsts.get(entry) ?? []));
      if (waiting.length === 0) continue;
      rule.ready = Promise.all(waiting).then(() => {
        rule.ready = undefined;
      });
    }
  }

  return {
    rules,
    get version() {
      return version;
    },
    open,
    close: () => {
      for (const close of closing.splice(0)) close();
    },
    knows: (key) =>
      rules.some(({ parts }) =>
        parts.some(({ members, draining }) => members.has(key) || [...draining].some((endpoint) => endpoint.key === key)),
      ),
    count: (of) =>
      rules
        .flatMap(({ parts }) => parts.flatMap(({ members, draining }) => [...members.values(), ...draining]))
        .reduce((sum, endpoint) => sum + of(endpoint), 0),
    remembered: () => {
      const all = new Map<string, Remembered>();
      for (const { text, found } of entries) if (found !== undefined) all.set(text, { found, endpoints: new Map() });
      for (const part of rules.flatMap(({ parts }) => parts)) {
        for (const { text } of part.from) for (const [key, endpoint] of part.members) all.get(text)?.endpoints.set(key, endpoint);
      }
      return all;
    },
  };
}

/** The endpoint as it is, where what cannot change of it has not; one that comes from the route before keeps what was learnt of it. */
function endpointOf(
  { key, url, weight, priority, locality, zone }: Found,
  target: RouteTarget,
  old: Endpoint | undefined,
  heirs: ReadonlyMap<string, Endpoint> | undefined,
  now: number,
): Endpoint {
  const place =
    locality ??
    (zone === undefined || target.locality === undefined ? (zone ?? target.locality) : `${target.locality.split("/")[0]}/${zone}`);
  const level = Math.min(127, (target.priority ?? 0) + priority);
  if (old !== undefined && old.priority === level && old.locality === place) {
    old.weight = weight;
    return old;
  }
  const fresh = newEndpoint({ url, weight, priority: level, ...(place === undefined ? {} : { locality: place }) }, now);
  const before = old ?? heirs?.get(key);
  if (before === undefined) return fresh;
  const { since, latencyMs, latencyAt } = before;
  return Object.assign(fresh, { since, latencyMs, latencyAt });
}

/** The source of an entry, in canonical form: what two entries with the same text find is the same. */
const sourceText = (target: RouteTarget): string =>
  JSON.stringify([target.endpoints, target.dns, target.srv, target.file]) + instanceText(target);

/** Whether two answers name other endpoints, or the same ones otherwise. Their order does not matter. */
function differ(a: readonly Found[], b: readonly Found[]): boolean {
  if (a.length !== b.length) return true;
  const before = new Map(a.map((one) => [one.key, one]));
  return b.some(({ key, weight, priority, locality, zone }) => {
    const old = before.get(key);
    return old === undefined || old.weight !== weight || old.priority !== priority || old.locality !== locality || old.zone !== zone;
  });
}

// Rules: the entries of one route as they are at work for one target. Entries with the same match are one rule; a rule is split by weight, and each
// part has a pool of endpoints. Entries of a later priority stand in for every part.
import type { Call } from "../../call/call.ts";
import type { Env } from "../../call/env.ts";
import type { Signal } from "../../call/signal.ts";
import { settledOr } from "../../call/waiting.ts";
import { instanceText } from "../../policy/adopted.ts";
import type { RouteDefinition, RouteTarget } from "./definition.ts";
import { type Found, wordsOf } from "./discovery/found.ts";
import { bounded, sourceOf } from "./discovery/source.ts";
import type { Endpoint, Pool } from "./endpoint.ts";
import type { HealthChecks } from "./health/checks.ts";
import { disinherit, type Heir, type Heirs, heirsOf } from "./heirs.ts";
import { type Fits, fitting } from "./match/match.ts";
import { type Entry, newPart, type Part, type PartWorld, type RunningPart } from "./part.ts";

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
  /** Begins to find endpoints; only the first time does something. `called`: what the first call says that they are called. */
  open(called: string | undefined): void;
  /** Waits for the first answer of the rule's sources; false: the signal was aborted first. */
  answered(rule: Rule, signal: Signal | undefined): Promise<boolean>;
  /** Looks no more for endpoints, once nobody waits for the first of them. */
  readonly close: () => void;
  /** Whether an endpoint is a member, or has attempts under way. */
  readonly knows: (key: string) => boolean;
  /** Counts something of the endpoints, those that are being drained too. */
  count(of: (endpoint: Endpoint) => number): number;
  /** What is known, for a route that comes in place of this one. What transports keep for endpoints is handed over. */
  bequeath(): Bequest;
}

/** What one route leaves to the next. */
interface Bequest {
  /** What was found, by source. */
  readonly found: ReadonlyMap<string, readonly Found[]>;
  readonly endpoints: Heirs;
}

export interface Making {
  readonly env: Pick<Env, "now" | "timers" | "random">;
  readonly newPool: () => Pool;
  /** `name`: what calls say that the endpoints are called; `undefined`: by their addresses. */
  readonly newHealthChecks: (pool: Pool, name: string | undefined) => HealthChecks | undefined;
  readonly report: (call: Call | undefined, what: string, detail: Readonly<Record<string, unknown>>) => void;
}

export function newRules({ to }: RouteDefinition, { env, newPool, newHealthChecks, report }: Making, before?: Rules): Rules {
  const known = before?.bequeath();
  const heirs = known?.endpoints ?? new Map<string, Heir>();
  const groups = new Map<string, Entry[]>();
  for (const target of to) {
    const text = sourceText(target);
    const key = JSON.stringify(target.match ?? null);
    const entry: Entry = { target, text, found: known?.found.get(text), error: undefined };
    groups.set(key, [...(groups.get(key) ?? []), entry]);
  }
  const entries = [...groups.values()].flat();
  const world: PartWorld = {
    heirs,
    now: env.now,
    moved: () => void version++,
    newHealthChecks: (pool) => newHealthChecks(pool, name),
  };
  const partOf = (from: readonly Entry[]): RunningPart => newPart(from, newPool(), world);
  const closing: (() => void)[] = [];
  let opened = false;
  let name: string | undefined;
  let closed = false;
  /** Calls that wait for a first answer. */
  let waiting = 0;
  let version = 0;

  const rules = [...groups.values()].map((group): Rule<RunningPart> => {
    const weighted = group.some(({ target }) => target.weight !== undefined);
    const standIns = group.filter(({ target }) => (target.priority ?? 0) > 0);
    const first = group.filter((entry) => !standIns.includes(entry));
    const parts = weighted && first.length > 0 ? first.map((entry) => partOf([entry, ...standIns])) : [partOf(group)];
    return {
      fits: fitting(group[0]?.target.match),
      parts,
      error: () =>
        group.every(({ found = [] }) => found.length === 0) ? group.find(({ error }) => error !== undefined)?.error : undefined,
      ready: undefined,
    };
  });

  function refreshed(entry: Entry): void {
    for (const { parts } of rules) for (const part of parts) if (part.from.includes(entry)) part.refresh();
  }

  function open(called: string | undefined): void {
    if (opened) return;
    opened = true;
    name = called;
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
      const first = rule.parts.flatMap(({ from }) => from.flatMap((entry) => firsts.get(entry) ?? []));
      if (first.length === 0) continue;
      rule.ready = Promise.all(first).then(() => {
        rule.ready = undefined;
        settle();
      });
    }
    settle();
  }

  function shut(): void {
    for (const close of closing.splice(0)) close();
    for (const { parts } of rules) for (const one of parts) one.close();
    disinherit(heirs);
  }

  /** When every source has answered, those that nobody has inherited have left. */
  function settle(): void {
    if (rules.every(({ ready }) => ready === undefined)) disinherit(heirs);
  }

  return {
    rules,
    get version() {
      return version;
    },
    open,
    answered: ({ ready }, signal) => {
      if (ready === undefined) return Promise.resolve(true);
      waiting++;
      return settledOr(ready, signal).finally(() => {
        if (--waiting === 0 && closed) shut();
      });
    },
    close: () => {
      closed = true;
      if (waiting === 0) shut();
    },
    // what calls that are still under way have behind an old route is not forgotten
    knows: (key) =>
      closed ||
      rules.some(({ parts }) =>
        parts.some(({ members, draining }) => members.has(key) || [...draining].some((endpoint) => endpoint.key === key)),
      ),
    count: (of) =>
      rules
        .flatMap(({ parts }) => parts.flatMap(({ members, draining }) => [...members.values(), ...draining]))
        .reduce((sum, endpoint) => sum + of(endpoint), 0),
    bequeath: () => {
      const found = new Map(entries.flatMap(({ text, found: all }) => (all === undefined ? [] : [[text, all] as const])));
      const members = rules.flatMap(({ parts }) => parts.flatMap((one) => [...one.members.values()]));
      return { found, endpoints: heirsOf(members, heirs) };
    },
  };
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

// Matching: which policy a call belongs to; the most specific match wins.
import type { Match, Policy } from "./policy.ts";

interface Rule<P> {
  readonly policy: P;
  readonly host: string;
  /** Empty: any path. Without a slash at the end. */
  readonly path: string;
  readonly methods: ReadonlySet<string> | undefined;
}

export interface Matching<P> {
  /** `host` with its port where the URL has one, in lower case. */
  find(host: string, path: string, method: string): P | undefined;
}

/** How many hosts are remembered with their rules. */
const MOST_HOSTS = 4_096;

/**
 * Compiles the matches of policies for outgoing HTTP calls. An exact host beats a wildcard, a port beats none, a longer wildcard a shorter one, a
 * longer path a shorter one, and methods beat none; among equals the first in the list wins.
 */
export function newMatching<P extends { readonly policy: Policy }>(policies: readonly P[]): Matching<P> {
  const rules = policies.flatMap((policy) => (policy.policy.match ?? []).flatMap((match) => ruleOf(policy, match))).toSorted(moreSpecific);
  const byHost = new Map<string, readonly Rule<P>[]>();
  return {
    find: (host, path, method) => {
      let fitting = byHost.get(host);
      if (fitting === undefined) {
        fitting = rules.filter((rule) => hostFits(rule.host, host));
        if (byHost.size >= MOST_HOSTS) byHost.clear();
        byHost.set(host, fitting);
      }
      for (const rule of fitting) {
        if (pathFits(rule.path, path) && (rule.methods === undefined || rule.methods.has(method))) return rule.policy;
      }
      return undefined;
    },
  };
}

function ruleOf<P>(policy: P, match: Match): Rule<P>[] {
  if (match.inbound === true || match.service !== undefined) return [];
  return [
    {
      policy,
      host: (match.host ?? "*").toLowerCase(),
      path: (match.path ?? "").replace(/\/+$/, ""),
      methods: match.methods === undefined ? undefined : new Set(match.methods),
    },
  ];
}

function moreSpecific(a: Rule<unknown>, b: Rule<unknown>): number {
  return (
    Number(a.host.startsWith("*")) - Number(b.host.startsWith("*")) ||
    Number(hasPort(b.host)) - Number(hasPort(a.host)) ||
    b.host.length - a.host.length ||
    b.path.length - a.path.length ||
    Number(b.methods !== undefined) - Number(a.methods !== undefined)
  );
}

const hasPort = (host: string): boolean => /:\d+$/.test(host);

const withoutPort = (host: string): string => host.replace(/:\d+$/, "");

function hostFits(pattern: string, host: string): boolean {
  const name = hasPort(pattern) ? host : withoutPort(host);
  if (!pattern.startsWith("*")) return pattern === name;
  return pattern === "*" || name.endsWith(pattern.slice(1));
}

function pathFits(prefix: string, path: string): boolean {
  return path.startsWith(prefix) && (path.length === prefix.length || prefix === "" || path[prefix.length] === "/");
}

// Matching: which policy a call belongs to; the most specific match wins.
import type { Match, Policy } from "./policy.ts";

interface Rule<P> {
  readonly policy: P;
  readonly host: string;
  /** Empty: any path. Without a slash at the end. */
  readonly path: string;
  readonly methods: ReadonlySet<string> | undefined;
  /** A gRPC service or `"*"`; `undefined`: the rule is for all of HTTP. */
  readonly service: string | undefined;
  readonly method: string | undefined;
}

export interface Matching<P> {
  /** `host` with its port where the URL has one, in lower case. */
  find(host: string, path: string, method: string): P | undefined;
  /** `host` as above; `method` as `payments.v1.Payments/Charge`. */
  findRpc(host: string, method: string): P | undefined;
}

/** How many hosts are remembered with their rules, and how many methods of each host with what was found for them. */
const MOST_HOSTS = 4_096;

/**
 * Compiles the matches of policies for outgoing calls. An exact host beats a wildcard, a port beats none, a longer wildcard a shorter one, a longer path
 * a shorter one, and methods beat none; among equals the first in the list wins. For an RPC, whatever names its service beats what does not, an exact
 * service beats `"*"`, and a method beats none, before all that. It is a POST to `/service/method`, so rules without a service fit it like any other call.
 */
export function newMatching<P extends { readonly policy: Policy }>(policies: readonly P[]): Matching<P> {
  const rules = policies.flatMap((policy) => (policy.policy.match ?? []).flatMap((match) => ruleOf(policy, match))).toSorted(moreSpecific);
  const http = rules.filter(({ service }) => service === undefined);
  const rpc = rules.toSorted(moreSpecificRpc);
  const byHost = new Map<string, readonly Rule<P>[]>();
  const rpcByHost = new Map<string, Map<string, P | undefined>>();

  function findRpc(host: string, called: string): P | undefined {
    const slash = called.lastIndexOf("/");
    const service = called.slice(0, slash);
    const method = called.slice(slash + 1);
    return rpc.find(
      (rule) =>
        hostFits(rule.host, host) &&
        pathFits(rule.path, `/${called}`) &&
        (rule.methods === undefined || rule.methods.has("POST")) &&
        (rule.service === undefined || rule.service === "*" || rule.service === service) &&
        (rule.method === undefined || rule.method === method),
    )?.policy;
  }

  return {
    find: (host, path, method) => {
      const fitting = remembered(byHost, host, () => http.filter((rule) => hostFits(rule.host, host)));
      for (const rule of fitting) {
        if (pathFits(rule.path, path) && (rule.methods === undefined || rule.methods.has(method))) return rule.policy;
      }
      return undefined;
    },
    findRpc: (host, method) =>
      remembered(
        remembered(rpcByHost, host, () => new Map<string, P | undefined>()),
        method,
        () => findRpc(host, method),
      ),
  };
}

function remembered<V>(found: Map<string, V>, key: string, find: () => V): V {
  const known = found.get(key);
  if (known !== undefined || found.has(key)) return known as V; // the cast: `undefined` may be what was found
  const value = find();
  if (found.size >= MOST_HOSTS) found.clear();
  found.set(key, value);
  return value;
}

function ruleOf<P>(policy: P, match: Match): Rule<P>[] {
  if (match.inbound === true) return [];
  return [
    {
      policy,
      host: (match.host ?? "*").toLowerCase(),
      path: (match.path ?? "").replace(/\/+$/, ""),
      methods: match.methods === undefined ? undefined : new Set(match.methods),
      service: match.service,
      method: match.method,
    },
  ];
}

function moreSpecificRpc(a: Rule<unknown>, b: Rule<unknown>): number {
  return serviceRank(a) - serviceRank(b) || Number(b.method !== undefined) - Number(a.method !== undefined);
}

/** An exact service, any service, no word about it. */
const serviceRank = ({ service }: Rule<unknown>): number => (service === undefined ? 2 : service === "*" ? 1 : 0);

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

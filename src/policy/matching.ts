// Matching: which policy a call belongs to; the most specific match wins.
import type { Match, Policy } from "./policy.ts";

interface Rule<P> {
  readonly policy: P;
  /** Which entry of the policy's `match` it is. */
  readonly entry: number;
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
  /** Whether any call to the host can match. */
  serves(host: string): boolean;
}

/** How many hosts are remembered with their rules, and how many methods of each host with what was found for them. */
const MOST_HOSTS = 4_096;

/** Whether calls go out from here or come in. */
export type Direction = "outbound" | "inbound";

/**
 * Compiles the matches of policies for the calls of one direction. An exact host beats a wildcard, a port beats none, a longer wildcard a shorter one, a longer path
 * a shorter one, and methods beat none; among equals the first in the list wins. For an RPC, whatever names its service beats what does not, an exact
 * service beats `"*"`, and a method beats none, before all that. It is a POST to `/service/method`, so rules without a service fit it like any other call.
 */
export function newMatching<P extends { readonly policy: Policy }>(policies: readonly P[], direction: Direction = "outbound"): Matching<P> {
  const rules = policies.flatMap((policy) => rulesOf(policy.policy, policy, direction)).toSorted(moreSpecific);
  const http = rules.filter(({ service }) => service === undefined);
  const rpc = rules.toSorted(moreSpecificRpc);
  const byHost = new Map<string, readonly Rule<P>[]>();
  const rpcByHost = new Map<string, Map<string, P | undefined>>();

  function findRpc(host: string, called: string): P | undefined {
    const name = rpcName(called);
    return rpc.find((rule) => fitsRpc(rule, host, name))?.policy;
  }

  return {
    find: (host, path, method) => {
      const fitting = remembered(byHost, host, () => http.filter((rule) => hostFits(rule.host, host)));
      for (const rule of fitting) {
        if (fitsRequest(rule, path, method)) return rule.policy;
      }
      return undefined;
    },
    serves: (host) => rules.some((rule) => hostFits(rule.host, host)),
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

interface RpcName {
  readonly path: string;
  readonly service: string;
  readonly method: string;
}

function rpcName(called: string): RpcName {
  const slash = called.lastIndexOf("/");
  return { path: `/${called}`, service: called.slice(0, slash), method: called.slice(slash + 1) };
}

/** The host fits already. */
const fitsRequest = (rule: Rule<unknown>, path: string, method: string): boolean =>
  pathFits(rule.path, path) && (rule.methods === undefined || rule.methods.has(method));

const fitsRpc = (rule: Rule<unknown>, host: string, { path, service, method }: RpcName): boolean =>
  hostFits(rule.host, host) &&
  fitsRequest(rule, path, "POST") &&
  (rule.service === undefined || rule.service === "*" || rule.service === service) &&
  (rule.method === undefined || rule.method === method);

function rulesOf<P>({ match = [] }: Policy, policy: P, direction: Direction): Rule<P>[] {
  return match.flatMap((one, entry) => ruleOf(policy, one, entry, direction));
}

function ruleOf<P>(policy: P, match: Match, entry: number, direction: Direction): Rule<P>[] {
  if ((match.inbound === true) !== (direction === "inbound")) return [];
  return [
    {
      policy,
      entry,
      host: (match.host ?? "*").toLowerCase(),
      path: (match.path ?? "").replace(/\/+$/, ""),
      methods: match.methods === undefined ? undefined : new Set(match.methods),
      service: match.service,
      method: match.method,
    },
  ];
}

/** A reason for one of two rules to go before the other: below zero, the first of them does. */
type Precedence = readonly [why: string, compare: (a: Rule<unknown>, b: Rule<unknown>) => number];

const PRECEDENCE: readonly Precedence[] = [
  ["an exact host goes before a wildcard", (a, b) => Number(a.host.startsWith("*")) - Number(b.host.startsWith("*"))],
  ["a host with a port goes before one without", (a, b) => Number(hasPort(b.host)) - Number(hasPort(a.host))],
  ["a longer host goes before a shorter one", (a, b) => b.host.length - a.host.length],
  ["a longer path goes before a shorter one", (a, b) => b.path.length - a.path.length],
  ["an entry with methods goes before one without", (a, b) => Number(b.methods !== undefined) - Number(a.methods !== undefined)],
];

const RPC_PRECEDENCE: readonly Precedence[] = [
  ["an exact service goes before any service, and that before none", (a, b) => serviceRank(a) - serviceRank(b)],
  ["a method goes before none", (a, b) => Number(b.method !== undefined) - Number(a.method !== undefined)],
];

const byPrecedence =
  (list: readonly Precedence[]) =>
  (a: Rule<unknown>, b: Rule<unknown>): number => {
    for (const [, compare] of list) {
      const order = compare(a, b);
      if (order !== 0) return order;
    }
    return 0;
  };

const moreSpecific = byPrecedence(PRECEDENCE);
const moreSpecificRpc = byPrecedence(RPC_PRECEDENCE);

/** An exact service, any service, no word about it. */
const serviceRank = ({ service }: Rule<unknown>): number => (service === undefined ? 2 : service === "*" ? 1 : 0);

/** An outgoing call as matching sees it; `host` with its port, in lower case. */
export type MatchedCall = { readonly host: string } & (
  | { readonly path: string; readonly method: string }
  /** `payments.v1.Payments/Charge`. */
  | { readonly rpc: string }
);

/** A rule that fits a call. */
export interface Candidate {
  readonly policy: Policy;
  readonly entry: number;
  /** Why the first goes before it; absent on the first. */
  readonly behind?: string;
}

/** Every rule that fits a call, the one that gets it first. */
export function candidatesFor(policies: readonly Policy[], call: MatchedCall): readonly Candidate[] {
  const isRpc = "rpc" in call;
  const sorted = policies.flatMap((policy) => rulesOf(policy, policy, "outbound")).toSorted(moreSpecific);
  const fitting = isRpc
    ? sorted.toSorted(moreSpecificRpc).filter((rule) => fitsRpc(rule, call.host, rpcName(call.rpc)))
    : sorted.filter((rule) => rule.service === undefined && hostFits(rule.host, call.host) && fitsRequest(rule, call.path, call.method));
  const [first] = fitting;
  const reasons = isRpc ? [...RPC_PRECEDENCE, ...PRECEDENCE] : PRECEDENCE;
  return fitting.map(({ policy, entry }, index) => {
    const rule = fitting[index];
    if (first === undefined || rule === undefined || index === 0) return { policy, entry };
    return {
      policy,
      entry,
      behind: reasons.find(([, compare]) => compare(first, rule) !== 0)?.[0] ?? "among equals the first in the list goes first",
    };
  });
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

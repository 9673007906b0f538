// Matches that never fit a call, or fit the same calls as those of another policy.
import type { Match, Policy } from "../policy.ts";
import type { Finding } from "./finding.ts";

interface Entry {
  readonly match: Match;
  readonly policy: number;
  readonly path: string;
  /** Entries with one text differ in their methods only, and in their place in the list. */
  readonly rest: string;
}

/** A finding of a policy, which is told apart by its index. */
export interface MatchFinding extends Finding {
  readonly at: number;
}

export function matchFindings(policies: readonly Policy[]): readonly MatchFinding[] {
  const entries = policies.flatMap(({ match = [] }, policy) =>
    match.map((one, index): Entry => ({ match: one, policy, path: `match[${index}]`, rest: restOf(one) })),
  );
  const earlier = new Map<string, Entry[]>();
  return entries.flatMap((entry): readonly MatchFinding[] => {
    const never = neverFits(entry.match);
    if (never !== undefined) return [{ code: "PM0508", at: entry.policy, path: entry.path, ...never }];
    const before = earlier.get(entry.rest) ?? [];
    earlier.set(entry.rest, before);
    const findings = contest(entry, before, policies);
    if (findings.every(({ code }) => code !== "PM0508")) before.push(entry);
    return findings;
  });
}

/** All of an entry but its methods, as matching sees it (src/policy/matching.ts). */
function restOf({ host = "*", path = "", service, method, inbound = false }: Match): string {
  return JSON.stringify([host.toLowerCase(), path.replace(/\/+$/, ""), service, method, inbound]);
}

function neverFits({ service, methods }: Match): Pick<Finding, "message" | "hint"> | undefined {
  if (service !== undefined && methods !== undefined && !methods.includes("POST"))
    return { message: "never fits: gRPC calls are POSTs, and methods lacks POST", hint: "remove methods" };
  return undefined;
}

/** Among entries that differ in methods only, one with methods goes first, then the first in the list. */
function contest(entry: Entry, before: readonly Entry[], policies: readonly Policy[]): readonly MatchFinding[] {
  const { methods } = entry.match;
  const rivals = before.filter(({ match }) => (match.methods === undefined) === (methods === undefined));
  const name = ({ policy, path }: Entry): string =>
    policy === entry.policy ? path : `${path} of policy "${policies[policy]?.name ?? ""}"`;
  const at = { at: entry.policy, path: entry.path };
  const taken = methods?.filter((method) => rivals.some(({ match }) => match.methods?.includes(method)));
  const whole = taken === undefined ? rivals.length > 0 : taken.length === methods?.length;
  if (whole) {
    const takers = rivals.filter(({ match }) => match.methods === undefined || match.methods.some((method) => methods?.includes(method)));
    return [
      { code: "PM0508", ...at, message: `never fits: all its calls go to ${takers.map(name).join(" and ")}`, hint: "remove one of them" },
    ];
  }
  const rival = rivals.find(({ policy, match }) => policy !== entry.policy && match.methods?.some((method) => taken?.includes(method)));
  if (rival === undefined) return [];
  const both = methods?.filter((method) => rival.match.methods?.includes(method)) ?? [];
  return [
    {
      code: "PM0509",
      ...at,
      message: `fits ${both.join(", ")} as well as ${name(rival)} does; that one gets them, since its policy comes first`,
      hint: "let only one of them name these methods",
    },
  ];
}

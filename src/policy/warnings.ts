// warningsOf: what is questionable about policies that are right: each rule is a pure function over checked data.
import type { PolicyIssue } from "./error.ts";
import { join } from "./path.ts";
import type { Policy } from "./policy.ts";
import { hardlyOpens } from "./warnings/breakers.ts";
import type { Finding, Rule } from "./warnings/finding.ts";
import { nothingComesIn, unfitForInbound } from "./warnings/inbound.ts";
import { inShadow, onPurpose } from "./warnings/left-on.ts";
import { matchFindings } from "./warnings/matches.ts";
import { breakerOutside, limiterInside } from "./warnings/order.ts";
import { doneTwice, keyInside, nested, noBudget, noEffect, repeatsNone } from "./warnings/retries.ts";
import { entriesNeverReached } from "./warnings/routes.ts";
import { nothingBehind, secondSeam, wrongSide } from "./warnings/seams.ts";
import { burstTooSmall } from "./warnings/shared.ts";
import { neverDue, noTimeForAttempts, noTimeout } from "./warnings/timeouts.ts";

const rules: readonly Rule[] = [
  neverDue,
  noBudget,
  doneTwice,
  noTimeForAttempts,
  breakerOutside,
  limiterInside,
  nested,
  noTimeout,
  inShadow,
  onPurpose,
  hardlyOpens,
  noEffect,
  keyInside,
  repeatsNone,
  entriesNeverReached,
  secondSeam,
  nothingBehind,
  wrongSide,
  unfitForInbound,
  nothingComesIn,
  burstTooSmall,
];

/** The warnings about these policies, policy by policy; `paths`: where each of them is. */
export function warningsOf(policies: readonly Policy[], paths: readonly string[]): readonly PolicyIssue[] {
  const matches = Map.groupBy(matchFindings(policies), ({ at }) => at);
  return policies.flatMap((policy, at) => {
    const found: readonly Finding[] = [...(matches.get(at) ?? []), ...rules.flatMap((rule) => rule(policy))];
    return found.map(({ code, path, message, hint }) =>
      Object.assign({ code, policy: policy.name, path: join(paths[at] ?? "", path), message }, hint === undefined ? {} : { hint }),
    );
  });
}

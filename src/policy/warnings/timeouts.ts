// Timeouts that are questionable: those that never fall due, those that leave no time for what is inside, and those that are missing.
import { durationMs } from "../duration.ts";
import { waitCeilings, worstCaseOf } from "../worst-case.ts";
import { time } from "../figures.ts";
import { type Finding, layersOf, type Rule } from "./finding.ts";

const inForce = (policy: Parameters<Rule>[0]): ReturnType<typeof layersOf<"timeout">> =>
  layersOf(policy, "timeout").filter(({ layer }) => layer.shadow !== true);

/** A timeout inside one that is not longer never falls due. */
export const neverDue: Rule = (policy) => {
  const timeouts = inForce(policy);
  return timeouts.flatMap(({ layer, index }): Finding[] => {
    const outer = timeouts.find((other) => other.index < index && durationMs(other.layer.after) <= durationMs(layer.after));
    if (outer === undefined) return [];
    return [
      {
        code: "PM0501",
        path: `layers[${index}].after`,
        message: `${layer.after} is not shorter than the ${outer.layer.after} of layers[${outer.index}] around it, so it never falls due`,
        hint: "make it shorter, or remove it",
      },
    ];
  });
};

/** What the last attempt may lack of its time and still be as good as whole. */
const SLIGHT = 0.1;

/** A timeout around retry that leaves no time for the last attempt, or too little, when attempts take all of theirs and waits are average. */
export const noTimeForAttempts: Rule = (policy) =>
  layersOf(policy, "retry").flatMap(({ layer, index }): Finding[] => {
    const outer = inForce(policy)
      .filter((timeout) => timeout.index < index)
      .toSorted((a, b) => durationMs(a.layer.after) - durationMs(b.layer.after))[0];
    const most = outer === undefined ? 0 : durationMs(outer.layer.after);
    const shorter = inForce(policy).some((inner) => inner.index > index && durationMs(inner.layer.after) < most);
    if (outer === undefined || !shorter) return []; // without one, `neverDue` or `noTimeout` is concerned
    const { headMs } = worstCaseOf(policy.layers.slice(index + 1));
    const starts = [0];
    for (const ceiling of waitCeilings(layer)) starts.push((starts.at(-1) ?? 0) + headMs + ceiling / 2);
    const attempts = starts.length;
    const begins = starts.at(-1) ?? 0;
    if (attempts === 1 || begins + (1 - SLIGHT) * headMs <= most) return [];
    const last = starts.filter((start) => start < most).length;
    const why =
      last === attempts
        ? `attempt ${last} of ${attempts} has ${time(most - begins)} of its ${time(headMs)} when those before it run into their timeout: `
        : `attempt ${last} of ${attempts} is the last that can start when attempts run into their timeout: each takes up to ${time(headMs)}, and `;
    return [
      {
        code: "PM0504",
        path: `layers[${index}].attempts`,
        message: `${why}layers[${outer.index}] ends the call after ${outer.layer.after}`,
        hint: `fewer attempts, a shorter timeout for each, or ${time(begins + headMs)} for the call`,
      },
    ];
  });

/** No timeout at all, where a layer relies on one. What is adopted may be one. */
export const noTimeout: Rule = (policy) => {
  if (inForce(policy).length > 0 || policy.layers.some(({ kind }) => kind === "adopt")) return [];
  const relying = policy.layers.findIndex(({ kind }) => kind in suffers);
  const kind = policy.layers[relying]?.kind;
  if (kind === undefined) return [];
  return [
    {
      code: "PM0510",
      path: `layers[${relying}]`,
      message: `there is no timeout, so ${suffers[kind] ?? ""}`,
      hint: "put a timeout after retry for each attempt, and one before it for the whole call",
    },
  ];
};

const suffers: Readonly<Record<string, string>> = {
  retry: "an attempt that hangs is never repeated",
  breaker: "a call that hangs does not count as a failure",
  bulkhead: "a call that hangs keeps its place",
};

// Breakers that can hardly open, since so many calls as they ask for do not come.
import { breakerDefaults, type Trip } from "../../layers/breaker/definition.ts";
import { durationMs } from "../duration.ts";
import { attemptsOf } from "../worst-case.ts";
import { round } from "../figures.ts";
import { type Finding, layersOf, type Rule } from "./finding.ts";

/** More calls a second to one target than a process makes as a rule. */
const MANY_PER_SECOND = 1_000;

export const hardlyOpens: Rule = (policy) =>
  layersOf(policy, "breaker").flatMap(({ layer: { trip = breakerDefaults.trip }, index }): Finding[] => {
    const trips: readonly Trip[] = Array.isArray(trip) ? (trip as readonly Trip[]) : [trip as Trip]; // the casts: isArray does not narrow readonly lists
    return trips.flatMap((one, at) => {
      if (one.consecutive !== undefined) return [];
      const path = `layers[${index}].trip${Array.isArray(trip) ? `[${at}]` : ""}.minCalls`;
      const most = mostCalls(policy, index, durationMs(one.window));
      if (most !== undefined && most.calls < one.minCalls) {
        return [
          {
            code: "PM0513" as const,
            path,
            message: `${one.minCalls} calls do not come in ${one.window}: the rate limit of layers[${most.by}] lets at most ${round(most.calls)} pass`,
            hint: "a smaller minCalls, or a longer window",
          },
        ];
      }
      const perSecond = one.minCalls / (durationMs(one.window) / 1_000);
      if (perSecond <= MANY_PER_SECOND) return [];
      return [
        {
          code: "PM0513" as const,
          path,
          message: `${one.minCalls} calls in ${one.window} are ${round(perSecond)} a second to one target; with fewer it never opens`,
          hint: "a smaller minCalls, or a longer window",
        },
      ];
    });
  });

/** What the tightest rate limit outside lets through to a layer in so much time; one with a key counts apart, so it bounds nothing. */
function mostCalls(
  policy: Parameters<Rule>[0],
  index: number,
  windowMs: number,
): { readonly calls: number; readonly by: number } | undefined {
  const bounds = layersOf(policy, "rateLimit")
    .filter(({ layer, index: by }) => by < index && layer.shadow !== true && layer.key === undefined)
    .map(({ layer, index: by }) => {
      const burst = layer.burst ?? Math.max(1, Math.ceil(layer.rate));
      const between = layersOf(policy, "retry").filter((retry) => retry.index > by && retry.index < index);
      const sends = between.reduce((product, retry) => product * attemptsOf(retry.layer), 1);
      return { calls: (burst + (layer.rate * windowMs) / durationMs(layer.per)) * sends, by };
    });
  return bounds.toSorted((a, b) => a.calls - b.calls)[0];
}

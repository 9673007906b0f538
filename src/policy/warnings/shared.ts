// Limits that processes share and that they cannot use as a whole.
import { durationMs } from "../duration.ts";
import { time } from "../figures.ts";
import { type Finding, layersOf, type Rule } from "./finding.ts";

/** Permits are leased every so often; what a bucket does not hold for so long is lost to all. */
const LEASED_EVERY_MS = 25;

/** A bucket that is full before anybody asks again. */
export const burstTooSmall: Rule = (policy) =>
  layersOf(policy, "rateLimit").flatMap(({ layer, index }): Finding[] => {
    const { rate, per, burst = Math.max(1, Math.ceil(rate)) } = layer;
    const perMs = durationMs(per);
    const least = Math.ceil((rate * LEASED_EVERY_MS) / perMs);
    if (layer.shared !== true || burst >= least) return [];
    return [
      {
        code: "PM0540",
        path: `layers[${index}].burst`,
        message: `a burst of ${burst} is ${time((burst * perMs) / rate)} of ${rate} per ${per}: processes lease their part every ${LEASED_EVERY_MS}ms, and what they cannot take by then is lost`,
        hint: `give it a burst of at least ${least}`,
      },
    ];
  });

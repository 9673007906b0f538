// Layers on the side of retry that is rarely meant: breakers outside, limiters inside.
import { type BreakerDefinition, breakerDefaults, type Trip } from "../../layers/breaker/definition.ts";
import { retryDefaults } from "../../layers/retry/definition.ts";
import { attemptsOf } from "../worst-case.ts";
import { counted, round } from "../figures.ts";
import { type Finding, layersOf, type Placed, type Rule } from "./finding.ts";

const retryOf = (policy: Parameters<Rule>[0]): Placed<"retry"> | undefined =>
  layersOf(policy, "retry").find(({ layer }) => attemptsOf(layer) > 1);

/** Outside retry, and with none inside, a breaker counts calls and not attempts. */
export const breakerOutside: Rule = (policy) => {
  const retry = retryOf(policy);
  const breakers = layersOf(policy, "breaker").filter(({ layer }) => layer.shadow !== true);
  if (retry === undefined || breakers.some(({ index }) => index > retry.index)) return [];
  const attempts = attemptsOf(retry.layer);
  return breakers.flatMap(({ layer, index }): Finding[] => {
    const calls = callsToOpen(layer);
    if (calls === Infinity) return [];
    return [
      {
        code: "PM0505",
        path: `layers[${index}]`,
        message:
          `is outside the retry of layers[${retry.index}], so it counts calls and not attempts: it opens after ${counted(calls, "failed call")} or more, ` +
          `up to ${calls * attempts} sends, and not at all for a peer that fails fewer than ${attempts} attempts in a row`,
        hint: "put it after retry",
      },
    ];
  });
};

/** The fewest failed calls that open a breaker; Infinity: only slow ones do, and a call may well be slow as a whole. */
function callsToOpen({ trip = breakerDefaults.trip }: BreakerDefinition): number {
  const trips: readonly Trip[] = Array.isArray(trip) ? (trip as readonly Trip[]) : [trip as Trip]; // the casts: isArray does not narrow readonly lists
  return Math.min(...trips.map((one) => one.consecutive ?? (one.failureRate === undefined ? Infinity : one.minCalls)));
}

/** Inside retry every attempt takes a permit. */
export const limiterInside: Rule = (policy) => {
  const retry = retryOf(policy);
  if (retry === undefined) return [];
  const attempts = attemptsOf(retry.layer);
  const inside = <K extends "rateLimit" | "bulkhead">(kind: K): readonly Placed<K>[] =>
    layersOf(policy, kind).filter(({ layer, index }) => layer.shadow !== true && index > retry.index);
  const goesOn = (retry.layer.on ?? retryDefaults.on).some((word) => word === "refusal");
  const ends = goesOn ? "" : ", and a refused attempt ends the call though attempts are left";
  const rates = inside("rateLimit").map(({ layer, index }): Finding => ({
    code: "PM0506",
    path: `layers[${index}]`,
    message:
      `is inside the retry of layers[${retry.index}], so each attempt takes a permit: when all fail, ${layer.rate} per ${layer.per} is ` +
      `${round(layer.rate / attempts)} calls${layer.queue === undefined ? ends : ""}`,
    hint: "put it before retry, unless it is there to spare the peer",
  }));
  const places = inside("bulkhead")
    .filter(({ layer }) => layer.queue === undefined)
    .map(({ index }): Finding => ({
      code: "PM0506",
      path: `layers[${index}]`,
      message: `is inside the retry of layers[${retry.index}] and has no queue, so each attempt has to find a place anew${ends}`,
      hint: "put it before retry, or give it a queue",
    }));
  return [...rates, ...places];
};

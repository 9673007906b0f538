// From the data of `balance` to the one who picks.
import { durationMs } from "../../../policy/duration.ts";
import type { Balancer } from "../endpoint.ts";
import { type Balance, balanceDefaults, type HashKey, type SlowStartOptions } from "./definition.ts";
import { leastRequestBalancer } from "./least-request.ts";
import { maglevBalancer } from "./maglev.ts";
import { peakEwmaBalancer } from "./peak-ewma.ts";
import { randomBalancer } from "./random.ts";
import { ringHashBalancer } from "./ring-hash.ts";
import { roundRobinBalancer } from "./round-robin.ts";
import { newShares } from "./slow-start.ts";

/** A balancer for one priority level, with a state of its own. */
export function newBalancer(balance: Balance, random: () => number, slowStart?: SlowStartOptions): Balancer {
  const shares = newShares(
    slowStart === undefined ? undefined : { ...balanceDefaults.slowStart, ...slowStart, windowMs: durationMs(slowStart.window) },
  );
  if (balance === "round-robin") return roundRobinBalancer(random, shares);
  if (balance === "random") return randomBalancer(random, shares);
  if (balance === "least-request") return leastRequestBalancer(random, shares, balanceDefaults.leastRequest);
  if (balance === "peak-ewma" || "peakEwma" in balance) {
    const { decay, defaultRtt } = { ...balanceDefaults.peakEwma, ...(balance === "peak-ewma" ? {} : balance.peakEwma) };
    return peakEwmaBalancer(random, shares, { decayMs: durationMs(decay), defaultRttMs: durationMs(defaultRtt) });
  }
  if ("leastRequest" in balance) return leastRequestBalancer(random, shares, { ...balanceDefaults.leastRequest, ...balance.leastRequest });
  if ("ringHash" in balance) return ringHashBalancer(random, newShares(undefined), { ...balanceDefaults.ringHash, ...balance.ringHash });
  return maglevBalancer(random, newShares(undefined));
}

/** What of a call a balance hashes; `undefined`: it does not go by a hash. */
export function hashKeyOf(balance: Balance): HashKey | undefined {
  if (typeof balance === "string") return undefined;
  if ("ringHash" in balance) return balance.ringHash;
  return "maglev" in balance ? balance.maglev : undefined;
}

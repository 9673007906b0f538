// simulate: what a policy would do in an overload, found out before there is one. The layers are the real ones; five minutes of traffic take a moment.
import { breaker, definePolicy, type LayerDefinition, retry, timeout } from "../src/index.ts";
import { simulate } from "../src/testing/index.ts";

const stacks: Readonly<Record<string, readonly LayerDefinition[]>> = {
  bare: [],
  "retries without a budget": [timeout("10s"), retry({ attempts: 4, budget: false }), timeout("500ms")],
  "with a budget and a breaker": [timeout("10s"), retry({ attempts: 4 }), breaker({ openFor: "5s" }), timeout("500ms")],
};

for (const [what, layers] of Object.entries(stacks)) {
  const { success, attemptsPerCall, slots } = await simulate(definePolicy({ name: "orders", layers }), "overload");
  const well = slots.findLast(({ calls, succeeded }) => succeeded < 0.99 * calls);
  const recovered = well === undefined ? "was never in trouble" : `in trouble until ${Math.round(well.at / 1_000)} s of 300 s`;
  console.log(`${what}: ${Math.round(100 * success)} % succeeded, ${attemptsPerCall.toFixed(1)} sends per call, ${recovered}`);
}

// Bench: picking one of 1,000 endpoints with each balancer, and telling a pool of 10,000.
import { seededRandom } from "../../src/call/env.ts";
import type { Balance } from "../../src/layers/route/balance/definition.ts";
import { hash32 } from "../../src/layers/route/balance/hash.ts";
import { type Endpoint, newEndpoint } from "../../src/layers/route/endpoint.ts";
import { newPool } from "../../src/layers/route/pool.ts";
import { type Bench, interleaved, median, type Row, shown } from "./kit.ts";

const ENDPOINTS = 1_000;
const PICKS = 200_000;
const MANY = 10_000;

const balances: Readonly<Record<string, Balance>> = {
  "round-robin": "round-robin",
  "least-request": "least-request",
  "peak-ewma": "peak-ewma",
  random: "random",
  "ring-hash": { ringHash: { header: "x-user" } },
  maglev: { maglev: { header: "x-user" } },
};

const endpointsOf = (count: number, weight: (nth: number) => number = () => 1): Endpoint[] =>
  Array.from({ length: count }, (_, nth) =>
    newEndpoint({ url: new URL(`http://10.0.${nth >> 8}.${nth & 255}:8080`), weight: weight(nth) }, 0),
  );

const poolOf = (balance: Balance) => newPool({ balance, outliers: {} }, { random: seededRandom(1), report: () => undefined }, 0);

/** Microseconds per pick, with the attempt that is counted, as the route layer does. */
function picking(balance: Balance, weight?: (nth: number) => number): () => Promise<number> {
  const pool = poolOf(balance);
  pool.update(endpointsOf(ENDPOINTS, weight), 0);
  const choices = Array.from({ length: 1_024 }, (_, nth) => ({ now: 1, hash: hash32(`user-${nth}`) }));
  const none = { now: 1, hash: undefined };
  return () => {
    let active = 0;
    const began = process.hrtime.bigint();
    for (let pick = 0; pick < PICKS; pick++) {
      const endpoint = pool.pick(choices[pick & 1_023] ?? none);
      if (endpoint === undefined) continue;
      endpoint.active = (endpoint.active + 1) & 7; // so that loads differ
      active++;
    }
    const us = Number(process.hrtime.bigint() - began) / 1_000 / PICKS;
    if (active !== PICKS) throw new Error("some picks found nobody");
    return Promise.resolve(us);
  };
}

/** Milliseconds until a pool of 10,000 knows other endpoints, a tenth of them new, and has picked the first. */
function updating(balance: Balance): () => Promise<number> {
  const all = endpointsOf(MANY + MANY / 10);
  const [one, other] = [all.slice(0, MANY), all.slice(MANY / 10)];
  const pool = poolOf(balance);
  let turn = 0;
  return () => {
    const next = turn++ % 2 === 0 ? one : other;
    const began = process.hrtime.bigint();
    pool.update([...next], 0);
    if (pool.pick({ now: 1, hash: 1 }) === undefined) throw new Error("nobody was picked");
    return Promise.resolve(Number(process.hrtime.bigint() - began) / 1e6);
  };
}

/** One round after another of each, and the table's rows of it. */
async function rows(
  sides: Readonly<Record<string, () => Promise<number>>>,
  rounds: number,
  row: (name: string, values: readonly number[]) => Omit<Row, "figure" | "peer">,
  figure: (name: string) => string,
): Promise<Row[]> {
  const measured = await interleaved(sides, { rounds, warmUp: 3 });
  return Object.entries(measured).map(([name, values]) => ({ figure: figure(name), peer: "", ...row(name, values) }));
}

export const bench: Bench = {
  title: "Picking an endpoint",
  how: `${PICKS} picks a round from a pool of ${ENDPOINTS} endpoints with outlier detection, 15 rounds; then a pool of ${MANY} that is told of other endpoints, a tenth of them new, up to its first pick`,
  run: async () => {
    const each = (make: (balance: Balance) => () => Promise<number>): Record<string, () => Promise<number>> =>
      Object.fromEntries(Object.entries(balances).map(([name, balance]) => [name, make(balance)]));
    const inTime = (most: number, unit: string, digits: number) => (name: string, values: readonly number[]) => {
      const target = name === "ring-hash" ? most * 2 : most;
      return { value: shown(values, digits, ` ${unit}`), target: `at most ${target} ${unit}`, ok: median(values) <= target };
    };
    return [
      ...(await rows(each(picking), 15, inTime(1, "us", 3), (name) => `pick, ${name}`)),
      ...(await rows(
        each((balance) => picking(balance, (nth) => 1 + (nth % 5))),
        15,
        inTime(1, "us", 3),
        (name) => `pick with weights, ${name}`,
      )),
      ...(await rows(
        each(updating),
        15,
        (_name, values) => ({ value: shown(values, 1, " ms"), target: "at most 50 ms", ok: median(values) <= 50 }),
        (name) => `update of ${MANY}, ${name}`,
      )),
    ];
  },
};

// The scene `move`: one policy, its seam moved line by line from the process into the shim, and the shim killed in the end; the same calls each time.
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { setTimeout as wait } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { bar, duration, inShort, percent } from "../../src/cli/plots.ts";
import {
  breaker,
  type Client,
  createClient,
  definePolicy,
  type LayerDefinition,
  type Policy,
  retry,
  sidecar,
  timeout,
} from "../../src/index.ts";
import { newDice } from "./dice.ts";
import { quantile, type Sample } from "./figures.ts";
import { arrivals, drive } from "./load.ts";
import type { Counted, Told } from "./move-upstream.ts";
import { newShim, type Shim } from "./move-shim.ts";
import { print, progress, styled, wrapped } from "./screen.ts";

const RATE = 120;
const LABEL = 46;

const layers: readonly LayerDefinition[] = [
  timeout("5s"),
  retry({ attempts: 4, backoff: { base: "5ms", max: "20ms" }, budget: false }),
  breaker({ trip: { failureRate: 0.9, minCalls: 20, window: "10s" }, openFor: "1s" }),
  timeout("1s"),
];

/** The policy with its seam before the layer of that place; `undefined`: without one. */
const seamAt = (place: number | undefined): Policy =>
  definePolicy({ name: "charges", layers: place === undefined ? layers : layers.toSpliced(place, 0, sidecar()) });

interface Move {
  readonly policy: Policy;
  /** The shim is killed halfway, and comes back. */
  readonly killed: boolean;
}

const moves: readonly Move[] = [
  ...[undefined, 3, 2, 1, 0].map((place) => ({ policy: seamAt(place), killed: false })),
  { policy: seamAt(2), killed: true },
];

interface Seen extends Counted {
  readonly samples: readonly Sample[];
  /** What each call came to, by its number. */
  readonly answers: ReadonlyMap<number, string>;
}

export async function playMove(seconds: number, stop: AbortSignal): Promise<void> {
  const upstream = fork(fileURLToPath(new URL("move-upstream.ts", import.meta.url)), [], {
    stdio: ["ignore", "inherit", "inherit", "ipc"],
  });
  const exit = once(upstream, "exit");
  const shim = await newShim();
  try {
    const first = await heard(upstream, exit);
    const port = "port" in first ? first.port : 0;
    heading();
    const times = arrivals((seconds * 1_000) / moves.length, () => RATE, newDice(7));
    let before: Seen | undefined;
    for (const [nth, move] of moves.entries()) {
      progress(`  ${bar(nth / moves.length, 24)} ${inShort(move.policy)}`);
      const seen = await play(move, shim, port, times, stop, async () => {
        const counted = heard(upstream, exit);
        upstream.send("count");
        const told = await counted;
        return "requests" in told ? told : { requests: 0, byShim: 0 };
      });
      report(move, seen, before ?? seen);
      before ??= seen;
    }
    print();
  } finally {
    await shim.close();
    if (upstream.connected) upstream.disconnect(); // it ends itself then
    await exit;
  }
}

async function heard(child: ChildProcess, exit: Promise<unknown[]>): Promise<Told> {
  const gone = exit.then(([code]) => {
    throw new Error(`the process of the server has ended with ${String(code)}`);
  });
  const [told] = (await Promise.race([once(child, "message"), gone])) as [Told]; // the cast: what that process sends
  return told;
}

async function play(
  { policy, killed }: Move,
  shim: Shim,
  port: number,
  times: readonly number[],
  stop: AbortSignal,
  count: () => Promise<Counted>,
): Promise<Seen> {
  if (policy.layers.some(({ kind }) => kind === "sidecar")) await shim.start(policy);
  const client = createClient({ policies: [policy], sidecar: shim.address, seed: 3 });
  const answers = new Map<number, string>();
  const samples: Sample[] = [];
  try {
    await Promise.all(Array.from({ length: 8 }, () => ask(client, port, -1, stop)));
    await count();
    let number = 0;
    const one = async (): Promise<Pick<Sample, "ok" | "attempts">> => {
      const nth = number++;
      const { text, ok, attempts } = await ask(client, port, nth, stop);
      answers.set(nth, text);
      return { ok, attempts };
    };
    const lengthMs = times.at(-1) ?? 0;
    await Promise.all([drive(times, one, performance.now(), samples, stop), killed ? crash(shim, policy, lengthMs, stop) : undefined]);
    return { samples, answers, ...(await count()) };
  } finally {
    await client.close();
  }
}

/** Killed in the middle of its calls, and there again a while later, as an orchestrator would have it. */
async function crash(shim: Shim, policy: Policy, lengthMs: number, stop: AbortSignal): Promise<void> {
  await wait(lengthMs / 3, undefined, { signal: stop });
  await shim.kill();
  await wait(lengthMs / 3, undefined, { signal: stop });
  await shim.start(policy);
}

async function ask(
  client: Client,
  port: number,
  number: number,
  stop: AbortSignal,
): Promise<{ text: string; ok: boolean; attempts: number }> {
  let result: unknown;
  try {
    const response = await client.fetch(`http://127.0.0.1:${port}/charges/${number}`, { signal: stop, premesh: { policy: "charges" } });
    result = response;
    const text = `${response.status} ${await response.text()}`;
    return { text, ok: response.ok, attempts: client.explain(response)?.attempts ?? 0 };
  } catch (error) {
    result ??= error;
    return { text: String(error), ok: false, attempts: client.explain(result)?.attempts ?? 0 };
  }
}

function heading(): void {
  print();
  print(styled("bold", "move: one policy, its seam moved line by line from the process into the shim"));
  const intro = "The same calls to a server that fails a quarter of them twice. What stands behind the bar runs in the shim.";
  for (const line of wrapped("  ", intro)) print(line);
  print(`${"".padEnd(LABEL)}${"succeeded".padStart(10)}${"same".padStart(7)}${"sent".padStart(6)}${"by shim".padStart(9)}`);
}

/** The layers, with a bar for the seam. */
const drawn = (policy: Policy): string =>
  inShort(policy)
    .replace(/(?: > )?sidecar(?: > )?/, " | ")
    .trim();

function report({ policy, killed }: Move, seen: Seen, first: Seen): void {
  const { samples, answers, requests, byShim } = seen;
  const calls = Math.max(1, samples.length);
  const same = [...answers].filter(([number, text]) => first.answers.get(number) === text).length;
  const took = samples.map(({ tookMs }) => tookMs);
  const cells = [
    percent(samples.filter(({ ok }) => ok).length / calls).padStart(10),
    percent(same / calls)
      .replace(/\.\d/, "")
      .padStart(7),
    (requests / calls).toFixed(2).padStart(6),
    percent(byShim / Math.max(1, requests)).padStart(9),
  ];
  print(`  ${drawn(policy)}`.padEnd(LABEL) + cells.join(""));
  const note = killed ? "shim killed a third of the way, back after two thirds; " : "";
  print(`    ${note}p50 ${duration(quantile(took, 0.5))}, p99 ${duration(quantile(took, 0.99))}`);
}

// The scene `route`: ten servers, of which one is slow, one dead, one resets and one flaps; the same calls to them by bare round robin and by a policy.
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { bar, duration, percent, sparkline } from "../../src/cli/plots.ts";
import { createClient, definePolicy, type LayerDefinition, type Policy, retry, route, timeout } from "../../src/index.ts";
import { newDice } from "./dice.ts";
import { figuresOf, quantile, type Sample, slotsOf, successOf } from "./figures.ts";
import { arrivals, drive, policyLane, WARM_UP } from "./load.ts";
import { ILLS, SERVERS, type Told } from "./route-servers.ts";
import { print, progress, styled, wrapped } from "./screen.ts";

interface Lane {
  readonly name: string;
  readonly policy: Policy;
  readonly samples: Sample[];
  readonly decisions: Map<string, number>;
  requests: readonly number[];
}

const RATE = 150;
const SLOTS = 31;
const LABEL = 12;

const laneOf = (name: string, layers: readonly LayerDefinition[]): Lane => ({
  name,
  policy: definePolicy({ name, layers }),
  samples: [],
  decisions: new Map(),
  requests: [],
});

/** In production the times of `outliers` would be some ten times longer; here you would not live to see an endpoint return. */
const lanesOf = ([healthy = [], bare = [], premesh = []]: readonly (readonly string[])[]): readonly Lane[] => [
  laneOf("healthy", [timeout("2s"), route({ to: [{ endpoints: healthy.slice(ILLS.length) }], balance: "round-robin" })]),
  laneOf("bare", [timeout("2s"), route({ to: [{ endpoints: bare }], balance: "round-robin" })]),
  laneOf("premesh", [
    timeout("2s"),
    retry({ attempts: 4, backoff: { base: "5ms", max: "50ms" }, budget: { percent: 50, min: 20 } }),
    timeout("150ms"),
    route({
      to: [{ endpoints: premesh }],
      balance: "peak-ewma",
      outliers: { consecutive5xx: 3, consecutiveGatewayFailure: 3, interval: "500ms", baseEjectionTime: "2s", maxEjectionPercent: 50 },
    }),
  ]),
];

export async function playRoute(seconds: number, stop: AbortSignal): Promise<void> {
  const child = fork(fileURLToPath(new URL("route-servers.ts", import.meta.url)), [], { stdio: ["ignore", "inherit", "inherit", "ipc"] });
  const exit = once(child, "exit");
  try {
    const first = await heard(child, exit);
    const ports = "ports" in first ? first.ports : [];
    const lanes = lanesOf(ports.map((lane) => lane.map((port) => `http://127.0.0.1:${port}`)));
    heading();
    await Promise.all(lanes.map((lane) => warmUp(lane, stop)));
    const times = arrivals(seconds * 1_000, () => RATE, newDice(2));
    const began = performance.now();
    const ticker = setInterval(() => {
      const so = lanes.map(({ name, samples }) => `${name} ${percent(successOf(samples) ?? 1)}`).join("  ");
      progress(`  ${bar((performance.now() - began) / (seconds * 1_000), 24)} ${so}`);
    }, 100);
    await Promise.all(lanes.map((lane) => playLane(lane, times, began, stop))).finally(() => clearInterval(ticker));
    const counted = heard(child, exit);
    child.send("count");
    const last = await counted;
    for (const [nth, lane] of lanes.entries()) lane.requests = ("requests" in last ? last.requests[nth] : undefined) ?? [];
    report(lanes, seconds * 1_000);
  } finally {
    if (child.connected) child.disconnect(); // it ends itself then
    await exit;
  }
}

async function heard(child: ChildProcess, exit: Promise<unknown[]>): Promise<Told> {
  const gone = exit.then(([code]) => {
    throw new Error(`the process of the servers has ended with ${String(code)}`);
  });
  const [told] = (await Promise.race([once(child, "message"), gone])) as [Told]; // the cast: what that process sends
  return told;
}

/** Code runs slowly at first, and that is no matter of routing. What this client learns of the endpoints is not kept. */
async function warmUp({ policy }: Lane, stop: AbortSignal): Promise<void> {
  const client = createClient({ policies: [policy], seed: 1 });
  const send = policyLane(client, policy.name, `http://shop.internal/${WARM_UP}`, stop);
  for (let call = 0; call < 20; call++) await send();
  await client.close();
}

async function playLane({ policy, samples, decisions }: Lane, times: readonly number[], began: number, stop: AbortSignal): Promise<void> {
  const client = createClient({ policies: [policy], seed: 3 });
  client.on((event) => {
    if (event.type === "decision") decisions.set(event.what, (decisions.get(event.what) ?? 0) + 1);
  });
  const send = policyLane(client, policy.name, "http://shop.internal/", stop);
  try {
    await drive(times, send, began, samples, stop);
  } finally {
    await client.close();
  }
}

function heading(): void {
  print();
  print(styled("bold", `route: ${SERVERS} servers; one takes 1 s, one is dead, one resets, one flaps`));
  for (const line of wrapped("  healthy   ", "round robin over the six that are well, to compare with")) print(line);
  for (const line of wrapped("  bare      ", "round robin over all ten")) print(line);
  for (const line of wrapped("  premesh   ", "timeout 2s > retry > timeout 150ms > route (peak-ewma, outliers)")) print(line);
}

const row = (label: string, text: string): string => `  ${label}`.padEnd(LABEL) + text;

function report(lanes: readonly Lane[], lengthMs: number): void {
  const sum = (numbers: readonly number[]): number => numbers.reduce((all, one) => all + one, 0);
  print(row("", `${"calls that succeeded".padEnd(29)}seen/call      p50      p99    p99.9`));
  for (const { name, samples, requests } of lanes) {
    const { success, seen, p50, p99 } = figuresOf(samples, sum(requests));
    const worst = quantile(
      samples.map(({ tookMs }) => tookMs),
      0.999,
    );
    const times = [p50, p99, worst].map((ms) => duration(ms).padStart(8)).join(" ");
    print(row(name, `${bar(success, 17)} ${(100 * success).toFixed(2).padStart(6)} %  ${seen.toFixed(2).padStart(9)} ${times}`));
  }
  const [healthy = Number.NaN, premesh = Number.NaN] = [lanes[0], lanes[2]].map((lane) => figuresOf(lane?.samples ?? [], 0).p99);
  print(row("", `p99 of premesh beside that of the healthy six: ${(premesh / healthy).toFixed(1)}x`));
  print(row("over time", `${"success, 0 to 100 %".padEnd(SLOTS + 2)}p99, 0 to 1 s`));
  for (const { name, samples } of lanes) {
    const slots = slotsOf(samples, lengthMs, SLOTS);
    const p99 = slots.map((slot) =>
      quantile(
        slot.map(({ tookMs }) => tookMs),
        0.99,
      ),
    );
    print(row(name, `${sparkline(slots.map(successOf), 1)}  ${sparkline(p99, 1_000)}`));
  }
  print(row("", `requests that each has seen: ${ILLS.join(", ")}, the others`));
  for (const { name, requests } of lanes) print(row(name, requests.map((count) => String(count).padStart(5)).join(" ")));
  const decisions = [...(lanes[2]?.decisions ?? [])].map(([what, times]) => `${what.replaceAll("-", " ")} ${times}x`);
  for (const line of wrapped(row("decisions", ""), decisions.join(", "))) print(line);
  print();
}

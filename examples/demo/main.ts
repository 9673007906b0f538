// The demo: real servers that fail in five ways, and the same calls to them bare and under a policy, side by side.
import { parseArgs } from "node:util";
import { bar, percent } from "../../src/cli/plots.ts";
import type { Protocol } from "./peer-process.ts";
import { newRun, play, type Run } from "./play.ts";
import { successOf } from "./figures.ts";
import { printHeading, printRun, printSummary } from "./report.ts";
import { playMove } from "./move.ts";
import { playRoute } from "./route.ts";
import { scenes } from "./scenes.ts";
import { print, progress, wrapped } from "./screen.ts";
import { playShared } from "./shared.ts";

const HELP = `Usage: npm run demo [-- [grpc | route | move | shared] --seconds <n>]

Starts HTTP servers on 127.0.0.1 that fail in five ways, sends each the same calls bare and under a policy, and shows what comes of it; then
moves the policy line by line into a sidecar shim, and kills the shim.
With "grpc": the same over gRPC, with its statuses and resets, and clients of @grpc/grpc-js.
With "route": ten servers behind one name, four of them ill, by round robin and by a policy.
With "move": the move into the shim alone.
With "shared": three processes that share a limit over a Redis, which is killed and comes back; needs redis-server.

  --seconds <n>  how long calls are started, all scenes together; 5 to 50 (default 36; route, move: 12; shared: 9)
  --help         this text

Ctrl-C ends it. NO_COLOR=1 leaves out colours; without a terminal there are none, and no progress line.`;

/** What can be played, and how many seconds it takes unless told otherwise. */
const SECONDS = { http: 36, grpc: 28, route: 12, move: 12, shared: 9 } as const;
type What = keyof typeof SECONDS;

interface Asked {
  readonly seconds: number;
  readonly what: What;
}

/** `undefined`: for help. */
function asked(): Asked | undefined {
  const { values, positionals } = parseArgs({
    options: { seconds: { type: "string" }, help: { type: "boolean", short: "h", default: false } },
    allowPositionals: true,
  });
  if (values.help) return undefined;
  const [what = "http", more] = positionals;
  if (!isWhat(what) || more !== undefined)
    throw new Error(`there are "grpc", "route", "move" and "shared", or no word for HTTP; got ${positionals.join(" ")}`);
  const seconds = Number(values.seconds ?? SECONDS[what]);
  if (!(seconds >= 5 && seconds <= 50)) throw new Error(`--seconds must be a number from 5 to 50; got ${values.seconds}`);
  return { seconds, what };
}

const isWhat = (word: string): word is What => Object.hasOwn(SECONDS, word);

/** The bottom line while a scene plays. */
function watch(run: Run, number: string, began: number): NodeJS.Timeout {
  return setInterval(() => {
    const share = Math.min(1, (performance.now() - began) / run.lengthMs);
    const so = (["bare", "premesh"] as const).map((lane) => `${lane} ${percent(successOf(run[lane]) ?? 1)}`).join("  ");
    progress(`  ${number} ${bar(share, 24)} ${run.bare.length} calls  ${so}`);
  }, 100);
}

async function main({ seconds, what }: Asked): Promise<void> {
  const stop = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => stop.abort(new Error("stopped")));
  process.stdout.on("error", () => stop.abort(new Error("nobody reads this")));

  try {
    if (what === "route") await playRoute(seconds, stop.signal);
    if (what === "grpc") await playScenes(seconds, what, stop.signal);
    if (what === "http") await playScenes((seconds * 3) / 4, what, stop.signal);
    if (what === "http") await playMove(seconds / 4, stop.signal);
    if (what === "move") await playMove(seconds, stop.signal);
    if (what === "shared") await playShared(seconds, stop.signal);
  } catch (error) {
    if (!stop.signal.aborted) throw error;
    print();
    print("stopped; servers and calls are gone");
    process.exitCode = 130;
  }
}

async function playScenes(seconds: number, protocol: Protocol, stop: AbortSignal): Promise<void> {
  const whole = scenes.reduce((sum, { share }) => sum + share, 0);
  const runs: Run[] = [];
  const bare = { http: "fetch with a timeout of 2 s", grpc: "grpc-js with a deadline of 2 s" }[protocol];
  const intro = `The same calls, bare (${bare}) and under a premesh policy. Takes about ${Math.ceil(seconds * 1.1 + 2)} s.`;
  for (const line of wrapped("", intro)) print(line);
  for (const [index, scene] of scenes.entries()) {
    const number = `${index + 1}/${scenes.length}`;
    const run = newRun(scene, (seconds * 1_000 * scene.share) / whole);
    printHeading(run, number);
    let ticker: NodeJS.Timeout | undefined;
    await play(run, protocol, stop, (began) => (ticker = watch(run, number, began))).finally(() => clearInterval(ticker));
    printRun(run);
    runs.push(run);
  }
  printSummary(runs);
}

try {
  const wanted = asked();
  if (wanted === undefined) console.log(HELP);
  else await main(wanted);
} catch (error) {
  console.error(`demo: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}

// Bench: what 10,000 targets take of memory, beyond the engines' own objects, and of CPU while nothing happens.
import { execFile } from "node:child_process";
import { EventEmitter } from "node:events";
import { setTimeout as after } from "node:timers/promises";
import { promisify } from "node:util";
import CircuitBreaker from "opossum";
import { createClient } from "../../src/index.ts";
import { type Bench, settled } from "./kit.ts";
import { sevenLayers } from "./policy.ts";

const TARGETS = 10_000;
const IDLE_MS = 3_000;

async function heapUsed(): Promise<number> {
  for (let time = 0; time < 3; time++) await settled();
  return process.memoryUsage().heapUsed;
}

/** opossum's window as src/layers/breaker/window.ts makes it. */
function opossumWindow(): unknown {
  return CircuitBreaker.newStatus({
    rollingCountTimeout: 10_000,
    rollingCountBuckets: 10,
    rollingPercentilesEnabled: false,
    enableSnapshots: false,
    rotateBucketController: new EventEmitter(),
  });
}

/** CPU time of a process that has nothing to do for a while, in milliseconds. */
async function idleMs(): Promise<number> {
  const before = process.cpuUsage();
  await after(IDLE_MS);
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1_000;
}

const EMPTY = `const before = process.cpuUsage(); setTimeout(() => { const { user, system } = process.cpuUsage(before); console.log((user + system) / 1000); }, ${IDLE_MS});`;

export const bench: Bench = {
  title: "10,000 targets",
  how: `one call to each of ${TARGETS} targets under the seven layers; heap after collection, less ${TARGETS} of opossum's windows measured alone; then CPU time over ${IDLE_MS / 1_000} s of quiet, beside an empty process`,
  run: async () => {
    const client = createClient({ policies: [sevenLayers] });
    const noop = (): Promise<undefined> => Promise.resolve(undefined);
    for (let call = 0; call < 1_000; call++) await client.run("seven", noop);
    opossumWindow();
    const start = await heapUsed();
    const windows = Array.from({ length: TARGETS }, opossumWindow);
    const engine = ((await heapUsed()) - start) / windows.length;
    windows.length = 0;
    const empty = await heapUsed();
    for (let target = 0; target < TARGETS; target++) await client.run("seven", noop, { target: `host-${target}.internal:443` });
    const whole = ((await heapUsed()) - empty) / TARGETS;
    const beyond = (whole - engine) / 1_000;
    await after(1_000); // the collector's own threads still work on what was just measured
    const [idle, { stdout }] = await Promise.all([idleMs(), promisify(execFile)(process.execPath, ["-e", EMPTY])]);
    const bare = Number(stdout);
    const kept = Object.keys(client.status().policies["seven"]?.targets ?? {}).length; // and so the client was not collected
    if (kept <= TARGETS) throw new Error(`only ${kept} targets were kept`);
    return [
      {
        figure: "bytes per target beyond the engines' own",
        value: `${beyond.toFixed(2)} kB`,
        peer: `opossum's window ${(engine / 1_000).toFixed(2)} kB`,
        target: "at most 3 kB",
        ok: beyond <= 3,
      },
      {
        figure: "idle CPU",
        value: `${((idle / IDLE_MS) * 100).toFixed(2)} % of a core`,
        peer: `empty process ${((bare / IDLE_MS) * 100).toFixed(2)} %`,
        target: "no measurable difference (under 0.5 %)",
        ok: (idle - bare) / IDLE_MS < 0.005,
      },
    ];
  },
};

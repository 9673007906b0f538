// One side of the proxy bench: the shim's proxy under the seven layers or without a policy, or nothing but the two ends.
import { GCProfiler } from "node:v8";
import { createClient, definePolicy } from "../../src/index.ts";
import { newRequestMetrics } from "../../src/sidecar/telemetry/request-metrics.ts";
import { startTelemetry } from "../../src/sidecar/telemetry/telemetry.ts";
import { doorOf } from "../../src/transports/door.ts";
import { newProxy, type Proxy } from "../../src/transports/proxy/proxy.ts";
import type { Upstreams } from "../../src/wire/wire.ts";
import { serve } from "./load.ts";
import type { Asked, Cost } from "./proxy.ts";
import { newDriven, type Sample, samples } from "./proxy-ends.ts";
import { seven } from "./sidecar/policy.ts";

const ORIGIN = new URL("http://127.0.0.1:9000");
const nothing = (): void => undefined;

/** No more than what stands between the two ends in any case. */
const straight =
  (upstreams: Upstreams): Proxy =>
  (exchange) => {
    const stream = upstreams.open({ origin: ORIGIN, version: "1.1" }, exchange.head, exchange.bodyless, {
      connected: nothing,
      inform: nothing,
      drained: nothing,
      head: (head, ended) => exchange.respond(head, ended),
      data: (chunk) => void exchange.write(chunk),
      end: (trailers) => exchange.end(trailers),
      broken: () => exchange.reset("reset"),
    });
    exchange.receive({
      data: (chunk) => void stream.write(chunk),
      end: (trailers) => stream.end(trailers),
      broken: () => stream.reset("reset"),
      drained: nothing,
    });
  };

/** As the shim puts it together. */
async function shim(upstreams: Upstreams, ruled: boolean): Promise<Proxy> {
  const { meter } = await startTelemetry({}, nothing);
  const client = createClient({ policies: ruled ? seven(9_000).map(definePolicy) : [], sidecar: false });
  const metrics = newRequestMetrics(meter, { listeners: () => [], draining: () => false, reloads: () => undefined, dropped: () => 0 });
  return newProxy({
    door: doorOf(client, "bench"),
    upstreams,
    direction: "outbound",
    allowAny: !ruled,
    trusts: () => true,
    via: "premesh-bench",
    draining: () => false,
    onOver: (logged, ended) => metrics.record(logged, ended, "outbound"),
  });
}

const [side = "", protocol = ""] = process.argv.slice(2);
const { upstreams, batch } = newDriven(samples[protocol as keyof typeof samples] satisfies Sample); // the cast: proxy.ts names one of them
const proxy = side === "ends" ? straight(upstreams) : await shim(upstreams, side === "seven");

/** CPU time of the process for each call, its garbage collection included, and bytes: what the heap has grown by, and what was collected. */
serve(async (asked): Promise<Cost> => {
  const { batches, atOnce } = asked as Asked; // the cast: what the bench sends
  const profiler = new GCProfiler();
  profiler.start();
  const heap = process.memoryUsage().heapUsed;
  const cpu = process.cpuUsage();
  for (let count = 0; count < batches; count++) await batch(proxy, atOnce);
  const { user, system } = process.cpuUsage(cpu);
  let bytes = process.memoryUsage().heapUsed - heap;
  for (const { beforeGC, afterGC } of profiler.stop()?.statistics ?? [])
    bytes += beforeGC.heapStatistics.usedHeapSize - afterGC.heapStatistics.usedHeapSize;
  const calls = batches * atOnce;
  return { us: (user + system) / calls, bytes: bytes / calls };
});

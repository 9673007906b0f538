// The seven layers as one would glue them by hand today: OpenTelemetry's API around cockatiel around opossum, perhaps behind bottleneck.
//
// Each at its documented best: opossum without percentiles, snapshots, its own timeout; cockatiel's timeouts cooperative and not aborting on return
// (what comes back is not aborted then, and it is cheaper); bottleneck without any limit.
import { SpanStatusCode, trace } from "@opentelemetry/api";
import type Bottleneck from "bottleneck";
import { bulkhead, ExponentialBackoff, handleAll, retry, timeout, TimeoutStrategy, wrap } from "cockatiel";
import CircuitBreaker from "opossum";
import { LIMITS } from "./policy.ts";

type Work = (context: { readonly signal: AbortSignal }) => Promise<unknown>;

/** Runs one call through the glued stack. */
export type Glue = (work: Work) => Promise<unknown>;

export function glued(limiter?: Bottleneck): Glue {
  const tracer = trace.getTracer("glue");
  const cooperative = { strategy: TimeoutStrategy.Cooperative, abortOnReturn: false } as const;
  const outer = wrap(
    timeout(LIMITS.overallMs, cooperative),
    retry(handleAll, { maxAttempts: LIMITS.attempts - 1, backoff: new ExponentialBackoff() }),
  );
  const inner = wrap(bulkhead(LIMITS.concurrent), timeout(LIMITS.attemptMs, cooperative));
  const breaker = new CircuitBreaker((work: Work, signal: AbortSignal) => inner.execute(work, signal), {
    timeout: false,
    errorThresholdPercentage: 50,
    volumeThreshold: 20,
    rollingCountTimeout: LIMITS.windowMs,
    resetTimeout: LIMITS.openForMs,
    rollingPercentilesEnabled: false,
    enableSnapshots: false,
  });
  const limited = (work: Work): Promise<unknown> => outer.execute(({ signal }) => breaker.fire(work, signal));
  return (work) =>
    tracer.startActiveSpan("call", async (span) => {
      try {
        return await (limiter === undefined ? limited(work) : limiter.schedule(() => limited(work)));
      } catch (error) {
        span.setStatus({ code: SpanStatusCode.ERROR });
        throw error;
      } finally {
        span.end();
      }
    });
}

// The figures of the demo: what became of each call, and what that makes over all of them and over time.

/** One call, as its caller saw it. */
export interface Sample {
  /** When it began, in milliseconds since the scene did. */
  readonly at: number;
  /** Until the caller had the whole answer, or an error. */
  readonly tookMs: number;
  readonly ok: boolean;
  /** How often it was sent. */
  readonly attempts: number;
}

export interface Figures {
  readonly calls: number;
  /** Share of calls that got a whole answer below 400. */
  readonly success: number;
  /** Sends per call, as the client counts them. */
  readonly attempts: number;
  /** Requests per call, as the peer counts them: the amplification. */
  readonly seen: number;
  readonly p50: number;
  readonly p99: number;
}

/** The q-th quantile by nearest rank; 0 of nothing. */
export function quantile(values: readonly number[], q: number): number {
  const ordered = values.toSorted((a, b) => a - b);
  return ordered[Math.max(0, Math.ceil(q * ordered.length) - 1)] ?? 0;
}

export function figuresOf(samples: readonly Sample[], requests: number): Figures {
  const calls = Math.max(1, samples.length);
  const took = samples.map(({ tookMs }) => tookMs);
  return {
    calls: samples.length,
    success: successOf(samples) ?? 0,
    attempts: samples.reduce((sum, { attempts }) => sum + attempts, 0) / calls,
    seen: requests / calls,
    p50: quantile(took, 0.5),
    p99: quantile(took, 0.99),
  };
}

/** `undefined`: there were no calls. */
export function successOf(samples: readonly Sample[]): number | undefined {
  return samples.length === 0 ? undefined : samples.filter(({ ok }) => ok).length / samples.length;
}

/** The samples by when their calls began, in slots of equal length. */
export function slotsOf(samples: readonly Sample[], lengthMs: number, slots: number): Sample[][] {
  const sorted: Sample[][] = Array.from({ length: slots }, () => []);
  for (const sample of samples) sorted[Math.min(slots - 1, Math.floor((sample.at / lengthMs) * slots))]?.push(sample);
  return sorted;
}

// Policies for the seam law: layers of every kind that has no dice and no clock of its own, and scripts of faults.
import fc from "fast-check";
import {
  breaker,
  bulkhead,
  fallback,
  fault,
  hedge,
  idempotency,
  type LayerDefinition,
  rateLimit,
  retry,
  route,
  timeout,
  trace,
} from "../../src/index.ts";
import { HANGS_FOR, type Step, WAIT_S, type World } from "./seam-world.ts";

const once = new Set<LayerDefinition["kind"]>(["trace", "idempotency", "route"]);

/** Layers as they may stand together; only one timeout ever falls due, since two that fall due at once are a race anywhere. */
export function layerLists({ origins, gone }: World): fc.Arbitrary<readonly LayerDefinition[]> {
  const [first = "", second = "", other = ""] = origins;
  const methods = fc.constantFrom<{ readonly methods?: readonly string[] }>({}, { methods: ["*"] });
  const layer: fc.Arbitrary<LayerDefinition> = fc.oneof(
    fc.constant(trace()),
    fc.integer({ min: 1, max: 6 }).map((burst) => rateLimit({ rate: 0.001, per: "1h", burst })),
    fc.constant(bulkhead({ limit: 9 })),
    fc.constantFrom(timeout("1h"), timeout(HANGS_FOR)),
    fc
      .tuple(
        fc.integer({ min: 1, max: 3 }),
        methods,
        fc.constantFrom<(string | number)[] | undefined>(undefined, ["refusal", "5xx"], [404, "timeout"]),
      )
      .map(([attempts, some, on]) =>
        retry({ attempts, backoff: { base: "0ms" }, ...some, ...(on === undefined ? {} : { on: on as never }), retryAfter: { max: "2s" } }),
      ), // the cast: the words are among those there are
    fc.constant(hedge({ after: "1h" })),
    fc.integer({ min: 1, max: 3 }).map((consecutive) => breaker({ trip: { consecutive }, openFor: "1h" })),
    fc.constantFrom(
      fallback({ response: { status: 203, headers: { "x-instead": "yes" }, body: { items: [1] } } }),
      fallback({ on: ["refusal"], response: { status: 503, body: "later" } }),
      fallback({ response: { target: other } }),
    ),
    fc.constantFrom(fault({ abort: { status: 503, percent: 100 } }), fault({ abort: { code: "aborted", percent: 0 } })),
    fc.constant(idempotency()),
    fc
      .constantFrom([first], [first, second], [gone, second], [gone])
      .chain((endpoints) =>
        fc
          .constantFrom("preserve" as const, "rewrite" as const)
          .map((host) => route({ to: [{ endpoints }], balance: { maglev: { path: true } }, host })),
      ),
  );
  return fc.array(layer, { minLength: 1, maxLength: 5 }).map((layers) => {
    let hanging = false;
    const seen = new Set<string>();
    return layers.filter((one) => {
      if (once.has(one.kind) && seen.has(one.kind)) return false;
      seen.add(one.kind);
      if (one.kind !== "timeout" || one.after !== HANGS_FOR) return true;
      const first_ = !hanging;
      hanging = true;
      return first_;
    });
  });
}

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom(200, 201, 404, 500, 503).map((status): Step => ({ status })) },
  { weight: 2, arbitrary: fc.constant<Step>({ status: 0 }) },
  { weight: 1, arbitrary: fc.constantFrom<Step>({ status: 503, retryAfter: WAIT_S }, { status: 429, retryAfter: 3 }) },
  { weight: 1, arbitrary: fc.constant<Step>({ status: 200, cut: true }) },
  { weight: 1, arbitrary: fc.constant<Step>("hang") },
);

/** Nothing ends a hang where no timeout falls due. */
export const scriptFor = (layers: readonly LayerDefinition[]): fc.Arbitrary<readonly Step[]> => {
  const ends = layers.some((layer) => layer.kind === "timeout" && layer.after === HANGS_FOR);
  return fc.array(step, { maxLength: 8 }).map((steps) => (ends ? steps : steps.map((one) => (one === "hang" ? { status: 0 } : one))));
};

export interface Asked {
  readonly post: boolean;
  readonly path: string;
  readonly idempotent: boolean | undefined;
  readonly key: boolean;
}

export const calls: fc.Arbitrary<readonly Asked[]> = fc.array(
  fc.record({
    post: fc.boolean(),
    path: fc.constantFrom("/a", "/b?x=1"),
    idempotent: fc.constantFrom(undefined, true, false),
    key: fc.boolean(),
  }),
  { minLength: 1, maxLength: 4 },
);

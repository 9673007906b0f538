// Priority levels: Envoy's documented tables, row by row, and what a pool makes of them.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { localityRank, ownLocality } from "../../../src/layers/route/locality.ts";
import { levelAt, priorityLoads } from "../../../src/layers/route/priority.ts";

const rule = { overprovisioningFactor: 1.4, panicThreshold: 50 };

/** Levels of 100 endpoints, so many of them available. */
const levels = (...available: readonly number[]) => available.map((some) => ({ endpoints: 100, available: some }));

const loads = (...available: readonly number[]): readonly number[] => priorityLoads(levels(...available), rule).map(({ load }) => load);

/** What the page on priorities speaks of: it knows no panic yet. */
const calm = (...available: readonly number[]): readonly number[] =>
  priorityLoads(levels(...available), { ...rule, panicThreshold: 0 }).map(({ load }) => load);

const panics = (...available: readonly number[]): readonly boolean[] => priorityLoads(levels(...available), rule).map(({ panic }) => panic);

describe("Envoy's documentation, load_balancing/priority: two levels, the second all healthy", () => {
  for (const [first, traffic] of [
    [100, [100, 0]],
    [72, [100, 0]],
    [71, [99, 1]],
    [50, [70, 30]],
    [25, [35, 65]],
    [0, [0, 100]],
  ] as const) {
    test(`${first} % healthy: ${traffic.join(" and ")} %`, () => assert.deepEqual(calm(first, 100), traffic));
  }
});

describe("Envoy's documentation, load_balancing/priority: two levels, both of them hurt", () => {
  for (const [health, traffic] of [
    [
      [100, 100],
      [100, 0],
    ],
    [
      [72, 72],
      [100, 0],
    ],
    [
      [71, 71],
      [99, 1],
    ],
    [
      [50, 50],
      [70, 30],
    ],
    [
      [25, 100],
      [35, 65],
    ],
    [
      [25, 25],
      [50, 50],
    ],
  ] as const) {
    test(`${health.join(" and ")} % healthy: ${traffic.join(" and ")} %`, () => assert.deepEqual(calm(...health), traffic));
  }
});

describe("Envoy's documentation, load_balancing/priority: three levels", () => {
  for (const [health, traffic] of [
    [
      [100, 100, 100],
      [100, 0, 0],
    ],
    [
      [72, 72, 100],
      [100, 0, 0],
    ],
    [
      [71, 71, 100],
      [99, 1, 0],
    ],
    [
      [50, 50, 100],
      [70, 30, 0],
    ],
    [
      [25, 100, 100],
      [35, 65, 0],
    ],
    [
      [25, 25, 100],
      [35, 35, 30],
    ],
    [
      [25, 25, 20],
      [36, 36, 28],
    ],
  ] as const) {
    test(`${health.join(", ")} % healthy: ${traffic.join(", ")} %`, () => assert.deepEqual(calm(...health), traffic));
  }

  test("a total of 50 is made whole: healths of 20 and 30 take 40 and 60 %", () => {
    const exact = { overprovisioningFactor: 1, panicThreshold: 0 };
    assert.deepEqual(
      priorityLoads(levels(20, 30), exact).map(({ load }) => load),
      [40, 60],
    );
  });
});

describe("Envoy's documentation, load_balancing/panic_threshold: the second level all healthy, so nobody panics", () => {
  for (const [first, traffic] of [
    [72, [100, 0]],
    [71, [99, 1]],
    [50, [70, 30]],
    [25, [35, 65]],
    [0, [0, 100]],
  ] as const) {
    test(`${first} % healthy`, () => {
      assert.deepEqual(loads(first, 100), traffic);
      assert.deepEqual(panics(first, 100), [false, false]);
    });
  }
});

// Two rows of that table, (50, 60) and (25, 100), give a traffic of 50/50 and 25/75, which its own formula and the page on priorities (35/65) do not;
// of these only the columns on panic are held.
describe("Envoy's documentation, load_balancing/panic_threshold: the second level hurt", () => {
  for (const [health, traffic, panic] of [
    [
      [72, 72],
      [100, 0],
      [false, false],
    ],
    [
      [71, 71],
      [99, 1],
      [false, false],
    ],
    [[50, 60], undefined, [false, false]],
    [[25, 100], undefined, [false, false]],
    [
      [25, 25],
      [50, 50],
      [true, true],
    ],
    [
      [5, 65],
      [7, 93],
      [true, false],
    ],
  ] as const) {
    test(`${health.join(" and ")} % healthy`, () => {
      assert.deepEqual(panics(...health), panic);
      if (traffic !== undefined) assert.deepEqual(loads(...health), traffic);
    });
  }

  test("all down: with a threshold all traffic is spread over all, by their number; without, nobody panics and the first level has it", () => {
    const sizes = [
      { endpoints: 30, available: 0 },
      { endpoints: 10, available: 0 },
    ];
    assert.deepEqual(priorityLoads(sizes, rule), [
      { load: 75, panic: true },
      { load: 25, panic: true },
    ]);
    assert.deepEqual(priorityLoads(sizes, { ...rule, panicThreshold: 0 }), [
      { load: 100, panic: false },
      { load: 0, panic: false },
    ]);
  });
});

test("loads always make 100, and none is negative", () => {
  for (let seed = 0; seed < 5_000; seed++) {
    const some = Array.from({ length: 1 + (seed % 5) }, (_, nth) => {
      const endpoints = 1 + ((seed * 7 + nth * 13) % 11);
      return { endpoints, available: (seed * 31 + nth * 17) % (endpoints + 1) };
    });
    const shares = priorityLoads(some, { overprovisioningFactor: 1 + (seed % 3) * 0.4, panicThreshold: (seed % 4) * 33 });
    assert.equal(
      shares.reduce((sum, { load }) => sum + load, 0),
      100,
      JSON.stringify(some),
    );
    assert.ok(shares.every(({ load }) => load >= 0));
  }
});

test("half of the endpoints out: 70 and 30 %, as was seen of Envoy 1.40", () => {
  const two = [
    { endpoints: 2, available: 1 },
    { endpoints: 2, available: 2 },
  ];
  assert.deepEqual(
    priorityLoads(two, rule).map(({ load }) => load),
    [70, 30],
  );
});

test("a number falls on a level by its load", () => {
  const shares = priorityLoads(levels(25, 25, 100), rule);
  assert.deepEqual(
    [0, 34.9, 35, 69.9, 70, 99.9].map((point) => levelAt(shares, point)),
    [0, 0, 1, 1, 2, 2],
  );
});

describe("Istio's locality failover: nearest first", () => {
  for (const [theirs, rank] of [
    ["eu/a/rack1", 0],
    ["eu/a/rack2", 1],
    ["eu/a", 1],
    ["eu/b/rack1", 2],
    ["eu", 2],
    ["us/a/rack1", 3],
    [undefined, 3],
  ] as const) {
    test(`from eu/a/rack1, ${theirs ?? "nowhere"} is at distance ${rank}`, () => assert.equal(localityRank("eu/a/rack1", theirs), rank));
  }

  test("who does not know where it is has all near", () => assert.equal(localityRank(undefined, "us/a"), 0));

  test("the environment says where this process is, where nothing else does", (t) => {
    t.after(() => delete process.env["PREMESH_LOCALITY"]);
    assert.equal(ownLocality(), undefined);
    process.env["PREMESH_LOCALITY"] = "eu/a";
    assert.equal(ownLocality(), "eu/a");
    assert.equal(ownLocality("us/b"), "us/b");
    process.env["PREMESH_LOCALITY"] = "";
    assert.equal(ownLocality(), undefined);
  });
});

// The fields of the seam: what is written is read back as it was, and what is malformed is nothing at all.
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import fc from "fast-check";
import type { CallRecord } from "../../src/call/call.ts";
import { conditionsOfWords, wordsOfConditions } from "../../src/call/classify.ts";
import type { Failure } from "../../src/call/outcome.ts";
import { newRecord } from "../../src/call/record.ts";
import { CONDITIONS } from "../../src/policy/conditions.ts";
import { PolicyError } from "../../src/policy/error.ts";
import { decodeCall } from "../../src/seam/call-field.ts";
import { causeOf, decodeOutcome, encodeOutcome, encodeUnseen } from "../../src/seam/outcome-field.ts";
import { decodePolicy, encodePolicy } from "../../src/seam/policy-field.ts";
import { LONGEST_FIELD, parseDictionary, parseItem } from "../../src/seam/read.ts";
import { type BareItem, isInnerList, type Item, NO_PARAMETERS } from "../../src/seam/structured.ts";
import { writeDictionary, writeItem } from "../../src/seam/write.ts";

const keys = fc.stringMatching(/^[a-z*][a-z0-9_.*-]{0,9}$/);
const bare: fc.Arbitrary<BareItem> = fc.oneof(
  fc.integer({ min: -999_999_999_999_999, max: 999_999_999_999_999 }),
  fc.integer({ min: -999_999_999, max: 999_999_999 }).map((thousandths) => thousandths / 1_000),
  fc.string({ unit: fc.constantFrom(...'abc "\\,;=()?1'.split("")) }),
  fc.boolean(),
  fc.stringMatching(/^[A-Za-z*][A-Za-z0-9!#$%&'*+.^_`|~:/-]{0,9}$/).map((token) => ({ token })),
  fc.string({ unit: "grapheme" }).map((display) => ({ display })),
  fc.integer({ min: -1e12, max: 1e12 }).map((date) => ({ date })),
  fc.uint8Array().map((bytes) => Buffer.from(bytes)),
);
const items: fc.Arbitrary<Item> = fc
  .tuple(bare, fc.array(fc.tuple(keys, bare), { maxLength: 3 }))
  .map(([value, parameters]) => ({ value, parameters: parameters.length === 0 ? NO_PARAMETERS : new Map(parameters) }));

suite("structured fields (RFC 9651)", () => {
  test("a dictionary is read back as it was written", () => {
    const members = fc.dictionary(keys, fc.oneof(items, fc.array(items, { maxLength: 4 })), { noNullPrototype: true });
    fc.assert(
      fc.property(members, (written) => {
        const text = writeDictionary(written);
        assert.match(text, /^[\x20-\x7e]*$/);
        const read = parseDictionary(text);
        assert.ok(read !== undefined, text);
        const back = Object.fromEntries([...read].map(([key, member]) => [key, isInnerList(member) ? member.items : member]));
        assert.deepEqual(back, written);
      }),
      { numRuns: 2_000 },
    );
  });

  const good: readonly (readonly [text: string, value: BareItem])[] = [
    ["42", 42],
    ["-0", -0],
    ["4.5", 4.5],
    ["999999999999999", 999_999_999_999_999],
    ['"a \\"b\\" \\\\"', 'a "b" \\'],
    ["foo123/456", { token: "foo123/456" }],
    ["*", { token: "*" }],
    [":aGVsbG8=:", Buffer.from("hello")],
    ["?0", false],
    ["@1659578233", { date: 1_659_578_233 }],
    ['%"f%c3%bc%c3%bc"', { display: "füü" }],
    ["  1  ", 1],
  ];
  for (const [text, value] of good) test(`reads ${text}`, () => assert.deepEqual(parseItem(text), { value, parameters: NO_PARAMETERS }));

  const bad = [
    "",
    "1.",
    "1.2345",
    "1000000000000000",
    "--1",
    ".5",
    '"a',
    '"\\a"',
    '"é"',
    "?2",
    "?",
    ":a",
    ":a!:",
    '%"%C3"',
    '%"%ff"',
    '%"a',
    "@1.5",
    "1 2",
    "1,2",
    "(1)",
    "é",
    "\t1",
    "a b",
    "1;",
    "1;A",
    "1;a=",
  ];
  for (const text of bad) test(`does not read ${JSON.stringify(text)}`, () => assert.equal(parseItem(text), undefined));

  const badDictionaries = [
    "a=1,",
    ",",
    "a=1,,b",
    "A=1",
    "a=1 b",
    "a=(1",
    "a=(1,2)",
    "a=(1)2",
    "a=",
    "=1",
    "a=(1 (2))",
    "1a",
    `a="${"x".repeat(LONGEST_FIELD)}"`,
    Array.from({ length: 300 }, (_, n) => `k${n}`).join(","),
  ];
  for (const text of badDictionaries)
    test(`does not read the dictionary ${text.slice(0, 20)}`, () => assert.equal(parseDictionary(text), undefined));

  test("of a key that stands twice the last counts", () => {
    assert.deepEqual(
      [...(parseDictionary("a=1, b, a=2") ?? [])].map(([key, member]) => [key, "value" in member && member.value]),
      [
        ["b", true],
        ["a", 2],
      ],
    );
  });

  test("whatever comes, nothing is thrown, and what is read can be written and read again", () => {
    const noise = fc.oneof(
      fc.string({ unit: "binary-ascii" }),
      fc.string({ unit: fc.constantFrom(...'ab1=,;()?:"\\%@ .-'.split("")) }),
      fc
        .constant("attempts=1, sent=1, code=unavailable, by=peer")
        .chain((text) => fc.nat(text.length).map((at) => text.slice(0, at) + text.slice(at + 1))),
    );
    fc.assert(
      fc.property(noise, (text) => {
        decodePolicy(text);
        decodeCall(text);
        decodeOutcome(text);
        const item = parseItem(text);
        if (item !== undefined) assert.deepEqual(parseItem(writeItem(item)), item);
      }),
      { numRuns: 5_000 },
    );
  });
});

test("premesh-policy names a policy and its revision, whatever the name", () => {
  for (const policy of ["payments", "7days", "a.b_c-d"]) {
    const named = { policy, revision: "3f1c9a0be47d2215" };
    assert.deepEqual(decodePolicy(encodePolicy(named)), named);
  }
  for (const field of ["payments", "payments;rev=3", '(a);rev="b"', ""]) assert.equal(decodePolicy(field), undefined, field);
});

test("premesh-call without a target, or with addresses that are none, is nothing", () => {
  for (const field of [
    "",
    "attempt=1",
    'target=""',
    'target="a", to="ftp://a"',
    'target="a", to="http://a/path"',
    'target="a", endpoint="a"',
    'target="a b"',
  ])
    assert.equal(decodeCall(field), undefined, field);
  const call = decodeCall(
    'target="a.internal", attempt=-1, numbered=1.5, sends=99999999999, type=x, visited=("nonsense" 7 "http://b:1";n=2), of-tomorrow=:AA==:',
  );
  assert.deepEqual(
    [call?.attempt, call?.numbered, call?.attempts, call?.type, call?.visits?.address.key, call?.visits?.before],
    [1, 1, 0, "initial", "http://b:1", undefined],
  );
});

suite("premesh-outcome", () => {
  const record = (): CallRecord =>
    Object.assign(newRecord({ policy: { name: "p", layers: [] }, revision: "r" }, "http", "a", "GET", 0), {
      attempts: 3,
      sent: 2,
      numbered: 4,
    });
  const before = { attempts: 1, visits: undefined };

  const failures: fc.Arbitrary<Failure<never>> = fc.record({
    ok: fc.constant(false as const),
    code: fc.integer({ min: 1, max: 16 }) as fc.Arbitrary<never>, // the cast: codes are these numbers
    by: fc.constantFrom("peer", "caller", "breaker", "rateLimit", "timeout", "route"),
    sent: fc.boolean(),
    conditions: fc.subarray([...CONDITIONS]).map(conditionsOfWords),
    status: fc.option(fc.integer({ min: 400, max: 599 }), { nil: undefined }),
    retryAfterMs: fc.option(fc.oneof(fc.nat(1_000_000), fc.constant(Number.POSITIVE_INFINITY)), { nil: undefined }),
    layer: fc.option(fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9._-]{0,9}$/), { nil: undefined }),
    cause: fc.oneof(
      fc.constant(undefined),
      fc
        .string({ unit: "grapheme", minLength: 1, maxLength: 100 })
        .map((message) => Object.assign(new Error(message), { code: "ECONNRESET" })),
      fc.string({ unit: "grapheme", maxLength: 100 }).map((message) => new PolicyError("ERR_PREMESH_TIMEOUT", message)),
    ),
  });

  test("a failure is read back as it was", () => {
    fc.assert(
      fc.property(failures, (failure) => {
        const heard = decodeOutcome(encodeOutcome(failure, record(), before));
        assert.ok(heard?.failure !== undefined);
        const { code, by, sent, conditions, status, retryAfterMs, layer, error, cause } = heard.failure;
        const { cause: original, ...plain } = failure;
        assert.deepEqual({ ok: false, code, by, sent, conditions, status, retryAfterMs, layer }, plain);
        assert.deepEqual([heard.attempts, heard.sent, heard.numbered], [2, 2, 4]);
        if (original instanceof PolicyError) assert.deepEqual(error, { code: original.code, message: original.message.toWellFormed() });
        else assert.equal(error, undefined);
        if (original instanceof Error && !(original instanceof PolicyError))
          assert.deepEqual(cause, { ...causeOf(original), message: original.message.toWellFormed() });
      }),
      { numRuns: 1_000 },
    );
  });

  test("conditions go as words", () => {
    for (const word of CONDITIONS) assert.deepEqual(wordsOfConditions(conditionsOfWords([word])), [word]);
    assert.equal(conditionsOfWords(["of-tomorrow", "toString"]), 0);
  });

  test("however much there is to say, the field stays within its bound", () => {
    const cause = Object.assign(new Error("ü".repeat(100_000)), { code: `E${"X".repeat(100_000)}` });
    const told = new PolicyError("ERR_PREMESH_TIMEOUT", "😀".repeat(100_000), { cause });
    const far = record();
    for (let n = 0; n < 1_000; n++)
      far.visits = {
        address: { key: `http://${"a".repeat(60)}.${n}.internal:8080`, url: new URL("http://a"), leaving: undefined },
        nth: n,
        before: far.visits,
      };
    const field = encodeOutcome({ ok: false, code: 4, by: "timeout", sent: true, conditions: 0xffffff, cause: told }, far, before);
    assert.ok(field.length <= LONGEST_FIELD, `${field.length}`);
    assert.ok(decodeOutcome(field) !== undefined);
  });

  test("that a call was not taken is one word, and a field that says nothing of attempts is none of ours", () => {
    assert.equal(decodeOutcome(encodeUnseen("draining"))?.unseen, "draining");
    for (const field of ["", "sent=1", "attempts=1,"]) assert.equal(decodeOutcome(field), undefined);
  });
});

// The parser's laws: what it accepts, llhttp accepts with the same meaning; and it does not matter how the bytes were cut on their way.
import assert from "node:assert/strict";
import fc from "fast-check";
import { suite, test } from "node:test";
import { llhttpMethods, readLlhttp, readOurs, type Read } from "../../harness/codec.ts";
import { mutated, requests, responses } from "../../harness/http1-arbitraries.ts";

const latin1 = (text: string): Buffer => Buffer.from(text, "latin1");

/** Bytes cut at these places. */
function cutAt(bytes: Buffer, places: readonly number[]): Buffer[] {
  const cuts = [...new Set(places.map((place) => place % (bytes.length + 1)))].toSorted((a, b) => a - b);
  return [0, ...cuts].map((from, nth) => bytes.subarray(from, cuts[nth] ?? bytes.length));
}

function agree(kind: "request" | "response", text: string): void {
  const bytes = latin1(text);
  const ours = readOurs(kind, [bytes]);
  const theirs = readLlhttp(kind, bytes);
  if (kind === "request" && ours.messages.some(({ line }) => !llhttpMethods.includes(line.split(" ", 1)[0] ?? ""))) return; // it knows no other methods
  // What we took, it took, and to the same end; behind our last message both may stop as they like.
  for (const [nth, message] of ours.messages.entries()) {
    // It takes `Connection: close` of an interim response for the end of the connection; we wait for the final one.
    if (nth > 0 && ours.messages[nth - 1]?.line.startsWith("1") === true && theirs.messages.length === nth) return;
    if (!message.whole && ours.refused) continue; // refused in its body: nothing more is claimed
    const other = theirs.messages[nth];
    assert.ok(other !== undefined, `llhttp has no message ${nth} in ${JSON.stringify(text)}`);
    assert.deepEqual({ ...message, whole: true }, { ...other, whole: true }, JSON.stringify(text));
    if (kind === "request") assert.equal(message.whole, other.whole, JSON.stringify(text));
  }
}

const plain = ({ messages, refused }: Read): unknown => ({ messages, refused });

for (const [kind, valid] of [
  ["request", requests],
  ["response", responses],
] as const) {
  suite(`the parser of ${kind}s`, () => {
    test("accepts what is made by the grammar, and means by it what llhttp does", () => {
      fc.assert(
        fc.property(valid, (text) => {
          const ours = readOurs(kind, [latin1(text)]);
          assert.equal(ours.refused, false, JSON.stringify(text));
          assert.ok(ours.messages.length > 0);
          agree(kind, text);
        }),
        { numRuns: 500 },
      );
    });

    test("accepts of what is nearly right nothing that llhttp refuses or takes for something else", () => {
      fc.assert(
        fc.property(mutated(valid), (text) => agree(kind, text)),
        { numRuns: 5_000 },
      );
    });

    test("reads the same however the bytes are cut", () => {
      fc.assert(
        fc.property(mutated(valid), fc.array(fc.nat(), { maxLength: 12 }), (text, places) => {
          const bytes = latin1(text);
          const whole = readOurs(kind, [bytes]);
          assert.deepEqual(plain(readOurs(kind, cutAt(bytes, places))), plain(whole));
          assert.deepEqual(
            plain(
              readOurs(
                kind,
                Array.from(bytes, (byte) => Buffer.of(byte)),
              ),
            ),
            plain(whole),
          );
        }),
        { numRuns: 500 },
      );
    });
  });
}

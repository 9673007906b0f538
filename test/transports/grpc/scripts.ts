// Scripts of faults for RPCs of any kind, and the server that plays them; the property tests of what stands between a client and it share them.
import fc from "fast-check";
import { status } from "@grpc/grpc-js";
import { KINDS, type RpcKind, sentBy } from "./calls.ts";
import { NGHTTP2_INTERNAL_ERROR, NGHTTP2_REFUSED_STREAM, type PeerAttempt } from "./peer.ts";

/** What a server does with one attempt. Before the head it may wait for some of the messages. */
type Fault =
  | { readonly does: "refuse" }
  | { readonly does: "reset-before-head"; readonly after: number }
  | { readonly does: "reset-after-head"; readonly after: number }
  | { readonly does: "reset-mid-stream"; readonly after: number; readonly sent: number }
  | { readonly does: "drop-connection"; readonly after: number }
  | { readonly does: "status"; readonly code: number; readonly after: number; readonly pushback?: string }
  | { readonly does: "status-after-head"; readonly code: number; readonly after: number }
  | { readonly does: "slow"; readonly after: number }
  | { readonly does: "answer" };

const few = fc.nat(3);
const pushbacks = fc.constantFrom("0", "1", "-1", "soon");
const faults: fc.Arbitrary<Fault> = fc.oneof(
  fc.constant<Fault>({ does: "refuse" }),
  fc.record({ does: fc.constant("reset-before-head" as const), after: few }),
  fc.record({ does: fc.constant("reset-after-head" as const), after: few }),
  fc.record({ does: fc.constant("reset-mid-stream" as const), after: few, sent: few }),
  fc.record({ does: fc.constant("drop-connection" as const), after: few }),
  fc.record(
    { does: fc.constant("status" as const), code: fc.constantFrom(1, 4, 5, 8, 10, 13, 14), after: few, pushback: pushbacks },
    { requiredKeys: ["does", "code", "after"] },
  ),
  fc.record({ does: fc.constant("status-after-head" as const), code: fc.constantFrom(5, 13, 14), after: few }),
  fc.record({ does: fc.constant("slow" as const), after: few }),
  fc.constant<Fault>({ does: "answer" }),
);

export interface Script {
  readonly kind: RpcKind;
  readonly messages: readonly string[];
  readonly faults: readonly Fault[];
  /** How many bytes the policy keeps. */
  readonly buffer: number;
  /** Cancelled by the caller once so many attempts have come. */
  readonly cancelAt: number | undefined;
}

export const scripts: fc.Arbitrary<Script> = fc.record({
  kind: fc.constantFrom(...KINDS),
  messages: fc.array(fc.string({ maxLength: 8 }), { minLength: 1, maxLength: 5 }),
  faults: fc.array(faults, { maxLength: 4 }),
  buffer: fc.constantFrom(4, 1_000),
  cancelAt: fc.option(fc.integer({ min: 1, max: 3 }), { nil: undefined, freq: 6 }),
});

/** Answers of a server that is well: those of a stream one for each message, else all in one. */
export const answersOf = (kind: RpcKind, messages: readonly string[]): readonly string[] =>
  kind === "ServerStream" || kind === "Bidi" ? messages : [messages.join("|")];

/** Plays one script; `index`: which attempt of it this is, from 0. */
export async function playFor(attempt: PeerAttempt, { kind, faults: all, messages }: Script, index: number): Promise<void> {
  const sent = sentBy(kind, messages);
  const fault = all[index] ?? { does: "answer" };
  if ("after" in fault) await attempt.received(Math.min(fault.after, sent.length));
  switch (fault.does) {
    case "refuse":
      return attempt.reset(NGHTTP2_REFUSED_STREAM);
    case "reset-before-head":
      return attempt.reset(NGHTTP2_INTERNAL_ERROR);
    case "reset-after-head":
      attempt.head();
      return attempt.reset(NGHTTP2_INTERNAL_ERROR);
    case "reset-mid-stream":
      attempt.send(...answersOf(kind, sent).slice(0, fault.sent));
      await attempt.flushed();
      return attempt.reset(NGHTTP2_INTERNAL_ERROR);
    case "drop-connection":
      attempt.stream.session?.destroy();
      return undefined;
    case "status":
      return attempt.status(fault.code, fault.pushback === undefined ? {} : { "grpc-retry-pushback-ms": fault.pushback });
    case "status-after-head":
      attempt.head();
      return attempt.status(fault.code);
    case "slow":
      return undefined; // the attempt's timeout ends it
    case "answer":
      await attempt.ended();
      attempt.send(...answersOf(kind, attempt.messages));
      return attempt.status(status.OK);
  }
}

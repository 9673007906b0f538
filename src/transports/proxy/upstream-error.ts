// Upstream error: why an attempt got no answer, as logs, errors and telemetry name it.
import type { Break, BreakReason } from "../../wire/wire.ts";

const WORDS: { readonly [W in BreakReason]: string } = {
  connect: "no connection could be made",
  forbidden: "its address is one of our own, which is never called",
  refused: "the upstream refused the request before it worked on it",
  reset: "the connection broke",
  protocol: "what the upstream sent is no HTTP that is allowed",
  "too-large": "what the upstream sent is larger than allowed",
  slow: "the upstream's head or body trickled",
  cancelled: "the attempt was given up",
};

/** A class, since it is an error. */
export class UpstreamError extends Error {
  override readonly name: string = "UpstreamError";
  readonly why: BreakReason;
  /** A socket's or resolver's, where there is one: `ECONNREFUSED`. */
  readonly code: string;
  /** HTTP/2's, where the peer gave one. */
  readonly h2Code: number | undefined;

  constructor({ why, cause, code: h2Code }: Break) {
    super(WORDS[why], cause === undefined ? undefined : { cause });
    this.why = why;
    this.h2Code = h2Code;
    const code: unknown = typeof cause === "object" && cause !== null && "code" in cause ? cause.code : undefined;
    this.code = typeof code === "string" ? code : why;
  }
}

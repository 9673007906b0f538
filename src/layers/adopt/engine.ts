// Engine: what each adopted library is made to look like.
import type { Call } from "../../call/call.ts";
import type { Run } from "./run.ts";

/** How an engine refuses: its breaker is open, it has no place, its limit is reached. */
export type Refusal = "open" | "full" | "limited";

/** What an error of the engine's own says. */
export interface Own {
  readonly how: Refusal | "timeout";
  readonly retryAfterMs?: number | undefined;
}

/** Where the engine's verdict goes. After the call is over, nobody listens. */
export interface Verdict {
  readonly returned: (value: unknown) => void;
  readonly threw: (error: unknown) => void;
}

export interface Engine {
  /** Gives the call to the engine. What it throws is a verdict too. */
  run<R>(run: Run<R>, verdict: Verdict): void;
  /** What an error says, where it is the engine's own; `undefined` where it comes from elsewhere. */
  own(error: unknown): Own | undefined;
  /** Before the first attempt. */
  prepare?(call: Call): void;
  /** What the engine shows of itself, as plain JSON. */
  status(): Readonly<Record<string, unknown>>;
}

// Crossing: how a call goes over a seam, to a sidecar that runs the layers behind it; what layers, transports and sidecars know of each other.
import type { Address } from "./address.ts";
import type { Code } from "./codes.ts";

/** Where a sidecar listens. One that has been away gets a new one, so that nothing is kept of its connections. */
export interface SidecarAddress extends Address {
  /** In place of the host and port of `url`: the path of a unix socket. */
  readonly socketPath: string | undefined;
}

/** Why the peer gave no answer, as words can say it: what is left of an error that was caught elsewhere. */
export interface FarCause {
  readonly message: string;
  readonly name?: string | undefined;
  /** Of a socket: `ECONNRESET`. */
  readonly code?: string | undefined;
}

/** A call, as far as a transport has to look at it. */
interface Leaving {
  readonly origin: string | undefined;
  readonly payload: object;
}

/** What a transport that can bring calls over a seam does for that. */
export interface Crosses {
  /** The origin that the call goes to when no layer behind the seam says otherwise; `undefined`: this call cannot cross. */
  originOf(call: Leaving): string | undefined;
  /** What the caller is told when there was no answer: an error or a status, as the transport itself words it. `attempts`: how often it was sent. */
  unanswered(code: Code, cause: FarCause, attempts: number): unknown;
  /** The response is of another origin than the caller's. */
  moved?(response: unknown, origin: string): void;
}

/** One call, or attempt, on its way over a seam. */
export interface Crossing {
  readonly to: SidecarAddress;
  /** Fields that are for the sidecar only. */
  readonly fields: readonly (readonly [name: string, value: string])[];
  /**
   * The head of an answer has come from the sidecar. `outcome`: its field for the outcome, which the caller does not see; `undefined`: there is none. Gives
   * how often the call was sent by now.
   */
  answered(outcome: string | undefined): number;
  /** It goes on elsewhere, by a redirect: what comes now is not the sidecar's. */
  strayed(): void;
}

/** Who waits for a sidecar. */
export interface Flight {
  /** On the clock of `Env.now`. */
  readonly startedAt: number;
  /** The sidecar gives no sign of life. */
  lost(): void;
}

/** A sidecar, as the layers of a client see it. */
export interface Sidecar {
  readonly address: SidecarAddress;
  /** Whether calls may go there: known at once, or as soon as it has been asked. It never rejects. */
  ready(): boolean | Promise<boolean>;
  /** Why they may not; and in how many milliseconds it is asked again. */
  readonly why: string;
  readonly retryAfterMs: number | undefined;
  /** Whether it has policies of this revision; false also while that is not asked anew. */
  knows(revision: string): boolean;
  /** It has taken a call of it. */
  takes(revision: string): void;
  /** It said that it has not. True: for the first time. */
  lacks(revision: string): boolean;
  /** A call goes there. */
  entered(flight: Flight): void;
  /** The head of its answer is there. */
  answered(flight: Flight): void;
  /** It is over. */
  left(flight: Flight): void;
  /** A call has found it gone. */
  failed(why: string): void;
  /** A layer uses it, and hears what becomes of it, until it is released. */
  use(changed: Changed): void;
  release(changed: Changed): void;
  status(): Readonly<Record<string, unknown>>;
}

/** Told when a sidecar is lost, or found again. */
export type Changed = (found: boolean, detail: Readonly<Record<string, unknown>>) => void;

/** The sidecars of a client. */
export interface Sidecars {
  /** The one at this address (`http://127.0.0.1:15001`, `unix:/run/premesh.sock`), else the client's own; `undefined`: nothing leaves the process. */
  at(address: string | undefined): Sidecar | undefined;
  /** The environment names the client's own sidecar as the proxy for http (HTTP_PROXY), so that calls may come there whatever layers do. */
  readonly isProxy: boolean;
}

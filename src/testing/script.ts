// Script: what an upstream does with each request; one language for the scripted upstream in the process and the fault server on the wire.
import { AssertionError } from "node:assert";
import type { Clock } from "../call/clock.ts";
import { type Duration, durationMs } from "../policy/duration.ts";
import { PolicyError } from "../policy/error.ts";

/** What goes wrong: no connection, one that breaks before the head, no answer at all, or an answer that is no HTTP. */
export type Fault = "refuse" | "reset" | "hang" | "garbage";

export interface FaultStep {
  readonly fault: Fault;
  /** How long before it goes wrong. Default: at once. */
  readonly delay?: Duration;
}

export interface AnswerStep {
  /** From 200 to 599. Default 200. */
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** Text; anything else is sent as JSON. Default: an empty body. */
  readonly body?: unknown;
  /** How long before the head. Default: at once. */
  readonly delay?: Duration;
  /** Sends the body in pieces of so many bytes, with so long before each. Default: whole. */
  readonly drip?: { readonly bytes: number; readonly every: Duration };
  /** What comes after the body, in place of its end: the connection breaks, or nothing. */
  readonly after?: "reset" | "hang";
  /** Sends `Retry-After`, in whole seconds, rounded up. */
  readonly retryAfter?: Duration;
  /** What `Content-Length` says, true or not. Only {@link faultServer} sends a false one. */
  readonly contentLength?: number;
}

/** What an upstream does with one request: a number is a status, a word a fault. */
export type Step = number | Fault | AnswerStep | FaultStep;

/** Steps for one request each, in the order in which requests come; or a function that is asked for each. */
export type Script = readonly Step[] | ((request: SeenRequest) => Step | Promise<Step>);

export interface ScriptOptions {
  /** What is done with all requests after the last step. Default: they were not expected, and `assertDone` says so. */
  readonly forever?: Step;
  /** Whose time delays take. Default: the runtime's timers, so that fake ones count. */
  readonly clock?: Clock;
}

/** A request as the upstream has seen it. */
export interface SeenRequest {
  /** The how-manieth it is; 1 is the first. With one call under way it is the attempt. */
  readonly number: number;
  readonly method: string;
  /** As it was sent: an absolute URL in the process, the path on the wire. */
  readonly url: string;
  /** Names are in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  /** The body as text. */
  readonly body: string;
  /** When it came, in milliseconds on the clock. */
  readonly at: number;
}

/** A step, read. */
export interface Planned extends Omit<AnswerStep, "delay" | "drip" | "retryAfter" | "body"> {
  readonly fault: Fault | undefined;
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  readonly delayMs: number;
  readonly drip: { readonly bytes: number; readonly everyMs: number } | undefined;
}

/** A request's place in the script, taken when its head comes. */
export interface Turn {
  /** Known before the request is read, where the script is a list. */
  readonly known: Planned | undefined;
  /** What to do; `undefined`: it was not expected. */
  step(request: SeenRequest): Promise<Planned | undefined>;
}

export interface ScriptReader {
  turn(): Turn;
  /** Throws when steps are left, or when requests came after the last. */
  readonly assertDone: () => void;
  /** What is said about a request that was not expected. */
  unexpected(request: SeenRequest): string;
}

const FAULTS: readonly Fault[] = ["refuse", "reset", "hang", "garbage"];

/** `without`: what this upstream cannot do, and what to do instead. */
export function newScript(
  name: string,
  script: Script,
  { forever }: ScriptOptions,
  without: Readonly<Record<string, string>>,
): ScriptReader {
  if (typeof script !== "function" && !Array.isArray(script))
    throw wrong(name, `needs a list of steps, or a function that gives one; got ${typeof script}`);
  const read = (step: Step, path: string): Planned => planned(step, (problem) => wrong(name, `${path}: ${problem}`), without);
  const steps = typeof script === "function" ? undefined : script.map((step: Step, index) => read(step, `script[${index}]`));
  const always = forever === undefined ? undefined : read(forever, "forever");
  const surprises: string[] = [];
  let used = 0;
  const shown = ({ method, url }: SeenRequest): string => `${method} ${url}`;

  return {
    turn: () => {
      if (typeof script === "function")
        return { known: undefined, step: async (request) => read(await script(request), "what the script gave") };
      const step = steps?.[used];
      if (step !== undefined) used++;
      const known = step ?? always;
      return {
        known,
        step: (request) => {
          if (known === undefined) surprises.push(shown(request));
          return Promise.resolve(known);
        },
      };
    },
    assertDone: () => {
      const left = (steps?.length ?? 0) - used;
      if (left === 0 && surprises.length === 0) return;
      const what =
        left > 0 ? `${left} of ${steps?.length} steps were not used` : `requests came after the last step: ${surprises.join(", ")}`;
      throw new AssertionError({ message: `${name}: ${what}`, actual: used + surprises.length, expected: steps?.length });
    },
    unexpected: (request) =>
      `${name}: request ${request.number} (${shown(request)}) was not expected, the script has ${steps?.length ?? 0} steps; add one, or { forever: 200 }`,
  };
}

function planned(step: Step, bad: (problem: string) => PolicyError, without: Readonly<Record<string, string>>): Planned {
  const whole: Partial<AnswerStep & FaultStep> | null =
    typeof step === "number" ? { status: step } : typeof step === "string" ? { fault: step } : step; // which may be null, from callers without types
  if (typeof whole !== "object" || whole === null) throw bad(`must be a status, one of ${FAULTS.join(", ")}, or an object`);
  for (const field of Object.keys(whole))
    if (!FIELDS.has(field)) throw bad(`"${field}" is not a known field; those are ${[...FIELDS].join(", ")}`);
  const { fault, status = 200, headers = {}, body = "", delay, drip, after, retryAfter, contentLength } = whole;
  const time = (text: Duration | undefined, field: string): number => {
    const ms = text === undefined ? 0 : durationMs(text);
    if (Number.isNaN(ms)) throw bad(`${field} must be a duration such as "250ms" or "2s"; got ${String(text)}`);
    return ms;
  };
  if (fault !== undefined && !FAULTS.includes(fault)) throw bad(`"${fault}" is not a fault; those are ${FAULTS.join(", ")}`);
  if (!Number.isInteger(status) || status < 200 || status > 599) throw bad(`status must be a whole number from 200 to 599; got ${status}`);
  if (drip !== undefined && !(Number.isInteger(drip.bytes) && drip.bytes > 0)) throw bad("drip.bytes must be a whole number above 0");
  if (after !== undefined && after !== "reset" && after !== "hang") throw bad('after must be "reset" or "hang"');
  for (const [feature, instead] of Object.entries(without)) {
    if (feature === fault || (feature in whole && whole[feature as keyof typeof whole] !== undefined)) throw bad(instead); // the cast: it is a field of it
  }
  return {
    fault,
    status,
    headers: {
      ...(typeof body === "string" ? {} : { "content-type": "application/json" }),
      ...headers,
      ...(retryAfter === undefined ? {} : { "retry-after": String(Math.ceil(time(retryAfter, "retryAfter") / 1_000)) }),
    },
    body: typeof body === "string" ? body : JSON.stringify(body),
    delayMs: time(delay, "delay"),
    drip: drip === undefined ? undefined : { bytes: drip.bytes, everyMs: time(drip.every, "drip.every") },
    ...(after === undefined ? {} : { after }),
    ...(contentLength === undefined ? {} : { contentLength }),
  };
}

const FIELDS: ReadonlySet<string> = new Set([
  "fault",
  "delay",
  "status",
  "headers",
  "body",
  "drip",
  "after",
  "retryAfter",
  "contentLength",
] satisfies (keyof AnswerStep | keyof FaultStep)[]);

const wrong = (name: string, problem: string): PolicyError => new PolicyError("ERR_PREMESH_INVALID_OPTIONS", `${name}: ${problem}`);

/** A body in pieces; the whole at once where it does not drip. */
export function piecesOf({ body, drip }: Planned): readonly Uint8Array[] {
  const bytes = new TextEncoder().encode(body);
  if (drip === undefined || bytes.length === 0) return bytes.length === 0 ? [] : [bytes];
  return Array.from({ length: Math.ceil(bytes.length / drip.bytes) }, (_, index) =>
    bytes.subarray(index * drip.bytes, (index + 1) * drip.bytes),
  );
}

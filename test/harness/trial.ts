// Trial: the same behaviour test over every transport; what differs between them is said here once.
import test, { type TestContext } from "node:test";
import { type Client, type ClientOptions, createClient, definePolicy, type LayerDefinition, PolicyError } from "../../src/index.ts";
import { openGrpc } from "./trial-grpc.ts";
import { openProxy } from "./trial-proxy.ts";
import { openUpstream, type Step } from "./upstream.ts";
import { stoppedTime, type Time } from "./time.ts";

/** How a call came out, in words that all transports share. */
export interface Came {
  readonly ok: boolean;
  readonly status: number | undefined;
  readonly error: unknown;
  /** `code` of a PolicyError. */
  readonly refusal: string | undefined;
  /** What the caller got: a response, a value or an error. */
  readonly result: unknown;
}

export interface CallOptions {
  readonly signal?: AbortSignal;
  readonly idempotent?: boolean;
  /** Calls to other hosts have state of their own. */
  readonly target?: string;
}

export interface Trial {
  readonly client: Client;
  readonly time: Time;
  call(options?: CallOptions): Promise<Came>;
  /** How many attempts the peer has seen. */
  attempts(): number;
  /** Settles when the peer has seen so many. */
  arrived(n: number): Promise<void>;
}

export type Open = (layers: readonly LayerDefinition[], script: readonly Step[], options?: Partial<ClientOptions>) => Promise<Trial>;

/** Opens a trial over `fetch`: a real server, real sockets. */
export const openFetch =
  (t: TestContext): Open =>
  async (layers, script, options) => {
    const time = stoppedTime(t);
    const upstream = await openUpstream(t, script);
    const client = createClient({ policies: [definePolicy({ name: "trial", match: [{ host: "*" }], layers })], ...options });
    return {
      client,
      time,
      attempts: () => upstream.requests.length,
      arrived: async (n) => void (await upstream.arrived(n)),
      call: async ({ signal, idempotent = true } = {}) => {
        try {
          // every body is read, so that permits come back
          const response = await client.fetch(upstream.url, { ...(signal === undefined ? {} : { signal }), premesh: { idempotent } });
          await response.text();
          return { ok: response.ok, status: response.status, error: undefined, refusal: undefined, result: response };
        } catch (error) {
          return came(error);
        }
      },
    };
  };

/** Opens a trial over `run`: the same script, as work. */
export const openRun =
  (t: TestContext): Open =>
  (layers, script, options) => {
    const time = stoppedTime(t);
    const client = createClient({ policies: [definePolicy({ name: "trial", layers })], ...options });
    let attempts = 0;
    const waiting: { readonly n: number; readonly resolve: () => void }[] = [];
    const trial: Trial = {
      client,
      time,
      attempts: () => attempts,
      arrived: (n) => (attempts >= n ? Promise.resolve() : new Promise((resolve) => waiting.push({ n, resolve }))),
      call: async ({ signal, idempotent = true, target } = {}) => {
        try {
          const result = await client.run(
            "trial",
            async () => {
              const step = script[Math.min(attempts++, script.length - 1)] ?? {};
              for (const { n, resolve } of waiting) if (attempts >= n) resolve();
              if (step === "hang") return new Promise<never>(() => undefined);
              if (step === "reset") throw Object.assign(new Error("reset"), { code: "ECONNRESET" });
              await step.until;
              const { status = 200 } = step;
              if (status >= 400) throw Object.assign(new Error(`status ${status}`), { status });
              return { status };
            },
            { idempotent, ...(signal === undefined ? {} : { signal }), ...(target === undefined ? {} : { target }) },
          );
          return { ok: true, status: 200, error: undefined, refusal: undefined, result };
        } catch (error) {
          return came(error);
        }
      },
    };
    return Promise.resolve(trial);
  };

function came(error: unknown): Came {
  const { status } = error as { status?: unknown }; // the cast: any error can be asked
  return {
    ok: false,
    status: typeof status === "number" ? status : undefined,
    error,
    refusal: error instanceof PolicyError ? error.code : undefined,
    result: error,
  };
}

const transports = { fetch: openFetch, run: openRun, grpc: openGrpc, proxy: openProxy };

/** Registers the same test once per transport; `except`: those of which it does not hold. */
export function overTransports(
  name: string,
  body: (open: Open, t: TestContext) => Promise<void>,
  { except = [] }: { readonly except?: readonly (keyof typeof transports)[] } = {},
): void {
  for (const [transport, opening] of Object.entries(transports)) {
    if (except.some((one) => one === transport)) continue;
    test(`${name} (${transport})`, (t) => body(opening(t), t));
  }
}

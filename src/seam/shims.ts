// Shims: the sidecars of a client, one for each address.
import type { Sidecars } from "../call/crossing.ts";
import type { Env } from "../call/env.ts";
import { newShim, type Shim } from "./shim.ts";

export interface Shims extends Sidecars {
  /** Ends all that goes on in the background. */
  close(): void;
}

/** `given`: the client's own address. `false`: this is the sidecar, and nothing goes over a seam, whatever policies say. */
export function newShims(given: string | false | undefined, env: Pick<Env, "now" | "timers" | "random">): Shims {
  const known = new Map<string, Shim>();
  return {
    isProxy: typeof given === "string" && URL.parse(process.env["http_proxy"] ?? process.env["HTTP_PROXY"] ?? "")?.origin === given,
    at: (address = given || undefined) => {
      if (given === false || address === undefined) return undefined;
      const shim = known.get(address) ?? newShim(address, env);
      known.set(address, shim);
      return shim;
    },
    close: () => {
      for (const shim of known.values()) shim.close();
    },
  };
}

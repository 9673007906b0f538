// sidecar: the seam between the process and a sidecar: what follows it runs there.
import type { ZodType } from "zod";
import { frozen } from "../../policy/freeze.ts";
import { type Named, namedFields, type Zod } from "../../policy/schema.ts";
import { SIDECAR_ADDRESS, SIDECAR_ADDRESS_WORDS } from "../../policy/sidecar-address.ts";

export interface SidecarOptions extends Named {
  /** Where the sidecar listens: `http://127.0.0.1:15001` or `unix:/run/premesh.sock`. Default: the `sidecar` that the client was made with. */
  readonly address?: string;
  /** What is done while no sidecar answers: the layers that follow run in the process, or the call fails. Default `in-process`. */
  readonly fallback?: "in-process" | "fail";
}

export interface SidecarDefinition extends SidecarOptions {
  readonly kind: "sidecar";
}

export const sidecarDefaults = { fallback: "in-process" } as const;

/**
 * The seam: layers before it run in the process, layers after it in the sidecar. The call means the same wherever it stands. Without an address, here or in
 * `createClient`, and for calls that cannot cross, everything runs in the process.
 *
 * Errors: `ERR_PREMESH_SIDECAR_UNAVAILABLE` with `fallback: "fail"`, while no sidecar answers.
 *
 * @example
 * ```ts
 * definePolicy({ name: "api", match: [{ host: "api.internal" }], layers: [timeout("2s"), sidecar(), retry(), timeout("500ms")] });
 * ```
 */
export function sidecar(options: SidecarOptions = {}): SidecarDefinition {
  return frozen({ kind: "sidecar", ...options });
}

export const sidecarSchema = (z: Zod): ZodType<SidecarDefinition> =>
  z.strictObject({
    kind: z.literal("sidecar"),
    ...namedFields(z),
    address: z.string({ error: SIDECAR_ADDRESS_WORDS }).regex(SIDECAR_ADDRESS, SIDECAR_ADDRESS_WORDS).exactOptional(),
    fallback: z.exactOptional(z.enum(["in-process", "fail"], { error: 'must be "in-process" or "fail"' })),
  });

export const sidecarDurations = [] as const;

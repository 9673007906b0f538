// Status: what can be seen of the layers of a client, as plain JSON.
import type { LayerKind } from "../policy/policy.ts";

/** The state of one layer for one target, and behind a `route` for one endpoint of it, as plain JSON. */
export interface LayerStatus {
  readonly kind: LayerKind;
  readonly layer: string;
  readonly index: number;
  /** The endpoint, for layers behind a `route`: its origin. */
  readonly endpoint?: string;
  readonly state: Readonly<Record<string, unknown>>;
}

export interface ClientStatus {
  /** Policies by name. */
  readonly policies: Readonly<
    Record<string, { readonly revision: string; readonly targets: Readonly<Record<string, readonly LayerStatus[]>> }>
  >;
}

// Status: what can be seen of the layers of a client, as plain JSON.
import type { LayerKind } from "../policy/policy.ts";

/** The state of one layer for one target, as plain JSON. */
export interface LayerStatus {
  readonly kind: LayerKind;
  readonly layer: string;
  readonly index: number;
  readonly state: Readonly<Record<string, unknown>>;
}

export interface ClientStatus {
  /** Policies by name. */
  readonly policies: Readonly<
    Record<string, { readonly revision: string; readonly targets: Readonly<Record<string, readonly LayerStatus[]>> }>
  >;
}

// Build: how the data of one layer becomes a running layer with its state.
import type { Layer, Next } from "./call.ts";
import type { Env } from "./env.ts";

/** Where a layer stands. */
export interface Scope {
  /** What errors and telemetry call it: its `name`, else its kind. */
  readonly label: string;
  /** A retry stands outside it, so it sees attempts, not calls. */
  readonly insideRetry: boolean;
  /** The layers behind it, built for another target. */
  readonly rest: (target: string) => Next<unknown>;
}

/** What a layer that keeps state shows of it and lets be done to it. All data is plain JSON. */
export interface LayerState {
  status(): Readonly<Record<string, unknown>>;
  /** What survives a restart; times as what remains of them. */
  snapshot?(): Readonly<Record<string, unknown>>;
  restore?(snapshot: Readonly<Record<string, unknown>>): void;
  /** Refuses everything until `reset`. */
  isolate?(): void;
  /** Back to the state of the first day. */
  reset?(): void;
}

export interface Built {
  readonly layer: Layer;
  readonly state?: LayerState;
}

/** Makes a layer of its definition; its state is born here. */
export type Build<D> = (definition: D, env: Env, scope: Scope) => Built;

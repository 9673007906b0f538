// Finding: what a rule has to say about a policy, and what rules are written with.
import type { LayerDefinitions, LayerKind, Policy } from "../policy.ts";
import type { CodedIssue } from "../problems.ts";

/** An issue whose path begins at its policy. */
export type Finding = CodedIssue;

/** Looks at one policy by itself. */
export type Rule = (policy: Policy) => readonly Finding[];

/** A layer and where it stands. */
export interface Placed<K extends LayerKind> {
  readonly layer: LayerDefinitions[K];
  readonly index: number;
}

/** The layers of one kind, outermost first. */
export function layersOf<K extends LayerKind>({ layers }: Policy, kind: K): readonly Placed<K>[] {
  return layers.flatMap((layer, index) => (layer.kind === kind ? [{ layer: layer as LayerDefinitions[K], index }] : [])); // the cast: the kind says so
}

// Seams that are questionable: two of them, one with nothing behind, and layers that stand on the side where they do not work as meant.
import { type Finding, layersOf, type Rule } from "./finding.ts";

/** Behind the first seam the rest of the list is the sidecar's, for which a second one means nothing. */
export const secondSeam: Rule = (policy) => {
  const [first, ...others] = layersOf(policy, "sidecar");
  return others.map(({ index }): Finding => ({
    code: "PM0517",
    path: `layers[${index}]`,
    message: `stands behind the seam of layers[${first?.index ?? 0}], so it is never reached in the process and lets every call pass in the sidecar`,
    hint: "keep one of them",
  }));
};

export const nothingBehind: Rule = (policy) => {
  const [seam] = layersOf(policy, "sidecar");
  if (seam === undefined || seam.index < policy.layers.length - 1) return [];
  return [
    {
      code: "PM0518",
      path: `layers[${seam.index}]`,
      message: "hands the call to the sidecar with no layer for it to run",
      hint: "move layers behind it, or remove it",
    },
  ];
};

/** What works on its own side only. */
export const wrongSide: Rule = (policy) => {
  const [seam] = layersOf(policy, "sidecar");
  if (seam === undefined) return [];
  const adopted = layersOf(policy, "adopt")
    .filter(({ index }) => index > seam.index)
    .map(({ index }): Finding => ({
      code: "PM0519",
      path: `layers[${index}]`,
      message: "is a live instance of this process, which the sidecar does not have",
      hint: "put it before sidecar()",
    }));
  const routes = layersOf(policy, "route")
    .filter(({ index }) => index < seam.index)
    .map(({ index }): Finding => ({
      code: "PM0519",
      path: `layers[${index}]`,
      message: "picks endpoints in each process, which the sidecar then has to take; its health checks and outliers are not shared",
      hint: "put it behind sidecar()",
    }));
  return [...routes, ...adopted];
};

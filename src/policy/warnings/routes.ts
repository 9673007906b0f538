// Entries of a route that no call reaches, since entries before them take all that they are for.
import type { FieldMatch, RouteMatch } from "../../layers/route/match/definition.ts";
import { type Finding, layersOf, type Rule } from "./finding.ts";

/** The first entry that fits decides. Entries with the same match are one, and stand where the first of them does. */
export const entriesNeverReached: Rule = (policy) =>
  layersOf(policy, "route").flatMap(({ layer, index }) => {
    const before = new Map<string, { readonly match: RouteMatch | undefined; readonly at: number }>();
    return layer.to.flatMap(({ match }, at): readonly Finding[] => {
      const key = JSON.stringify(match ?? null);
      if (before.has(key)) return [];
      const taker = [...before.values()].find((earlier) => takesAll(earlier.match, match));
      before.set(key, { match, at });
      if (taker === undefined) return [];
      return [
        {
          code: "PM0508",
          path: `layers[${index}].to[${at}].match`,
          message: `never fits: to[${taker.at}] stands before it and takes all its calls`,
          hint: "put it before that one, or remove it",
        },
      ];
    });
  });

/** Whether what fits `inner` fits `outer` too, as far as that can be seen: of two expressions only that they are the same. */
function takesAll(outer: RouteMatch | undefined, inner: RouteMatch | undefined): boolean {
  if (outer === undefined) return true;
  if (inner === undefined) return false;
  const { service, method, methods, path } = outer;
  const sent = inner.service === undefined ? inner.methods : ["POST"];
  return (
    (service === undefined || (service === inner.service && (method === undefined || method === inner.method))) &&
    (methods === undefined || (sent !== undefined && sent.every((one) => methods.includes(one)))) &&
    (path === undefined || takesPath(path, inner.path)) &&
    takesFields(outer.headers?.map(lowerCase), inner.headers?.map(lowerCase)) &&
    takesFields(outer.query, inner.query)
  );
}

type Path = NonNullable<RouteMatch["path"]>;

function takesPath(outer: Path, inner: Path | undefined): boolean {
  if (typeof outer === "object") return JSON.stringify(outer) === JSON.stringify(inner);
  const prefix = outer.replace(/\/+$/, "");
  if (prefix === "") return true;
  const text = typeof inner === "object" && "exact" in inner ? inner.exact : inner;
  return typeof text === "string" && (text === prefix || text.startsWith(`${prefix}/`));
}

/** All fields must fit, so more of them fit less. */
function takesFields(outer: readonly FieldMatch[] = [], inner: readonly FieldMatch[] = []): boolean {
  const named = new Set(inner.map((field) => JSON.stringify(field)));
  return outer.every((field) => named.has(JSON.stringify(field)));
}

const lowerCase = (field: FieldMatch): FieldMatch => Object.assign({}, field, { name: field.name.toLowerCase() });

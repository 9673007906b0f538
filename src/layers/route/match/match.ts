// Whether a call fits the match of an entry.
import { type Call, fieldOf } from "../../../call/call.ts";
import { LONGEST_INPUT, wholeRegex } from "../../../policy/safe-regex.ts";
import { pathOf, queryOf, rpcOf } from "./call-fields.ts";
import type { FieldMatch, RouteMatch, TextMatch } from "./definition.ts";

export type Fits = (call: Call) => boolean;

/** Compiles a match; `undefined`: every call fits. */
export function fitting(match: RouteMatch | undefined): Fits | undefined {
  if (match === undefined) return undefined;
  const tests: Fits[] = [];
  const { path, methods, headers = [], query = [], service, method } = match;
  if (service !== undefined) {
    tests.push((call) => {
      const called = rpcOf(call);
      return called !== undefined && called[0] === service && (method === undefined || called[1] === method);
    });
  }
  if (methods !== undefined) {
    const names = new Set(methods);
    tests.push((call) => names.has(rpcOf(call) === undefined ? call.method : "POST"));
  }
  if (path !== undefined) {
    const fits = pathFits(path);
    tests.push((call) => fits(pathOf(call)));
  }
  for (const field of headers) {
    const name = field.name.toLowerCase();
    const fits = valueFits(field);
    tests.push((call) => fits(lines(fieldOf(call, name))));
  }
  if (query.length > 0) {
    const fields = query.map((field) => [field.name, valueFits(field)] as const);
    tests.push((call) => {
      const given = queryOf(call);
      return fields.every(([name, fits]) => fits(given.getAll(name)));
    });
  }
  const [only] = tests;
  return tests.length === 1 ? only : (call) => tests.every((fits) => fits(call));
}

function pathFits(path: NonNullable<RouteMatch["path"]>): (text: string) => boolean {
  if (typeof path === "object") return textFits(path);
  const prefix = path.replace(/\/+$/, "");
  return (text) => text.startsWith(prefix) && (text.length === prefix.length || prefix === "" || text[prefix.length] === "/");
}

function textFits({ exact, prefix, regex }: TextMatch): (text: string) => boolean {
  if (exact !== undefined) return (text) => text === exact;
  if (prefix !== undefined) return (text) => text.startsWith(prefix);
  const pattern = wholeRegex(regex ?? "");
  return (text) => text.length <= LONGEST_INPUT && pattern.test(text);
}

/** Of a field that may be there several times: one value that fits is enough. */
function valueFits(field: FieldMatch): (values: readonly string[]) => boolean {
  const { present, invert = false } = field;
  if (present !== undefined) return (values) => values.length > 0 === (present !== invert);
  const fits = textFits(field);
  return (values) => values.length > 0 && values.some(fits) !== invert;
}

/** The lines of a field, and what they come to when they are joined: transports give them joined, and Envoy goes by each. */
function lines(value: string | undefined): readonly string[] {
  if (value === undefined) return [];
  return value.includes(",") ? [value, ...value.split(",").map((line) => line.trim())] : [value];
}

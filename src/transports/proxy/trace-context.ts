// The trace that a request belongs to, by the fields it came with: what a `trace` layer opens its spans beneath.
import { openTelemetry } from "../../call/otel.ts";
import { valueOf } from "./field-names.ts";
import type { Request } from "./request.ts";

/** Without anything registered, nothing is read; the fields go on as they are. */
export function withinItsTrace(request: Request, run: () => void): void {
  const otel = openTelemetry();
  if (otel === undefined) return run();
  const { context, propagation, ROOT_CONTEXT } = otel;
  return context.with(propagation.extract(ROOT_CONTEXT, request.head.fields, getter), run);
}

const getter = {
  get: (fields: readonly string[], name: string): string | undefined => valueOf(fields, name.toLowerCase()),
  keys: (fields: readonly string[]): string[] => fields.filter((_, index) => index % 2 === 0),
};

// Marking: a context that shows a span which is put into it. An instrumentation opens its span beneath the active context and puts it there;
// that is the one moment at which we can add to a span of somebody else's, without a span processor in the user's set-up.
import type { Context, Span } from "@opentelemetry/api";

/** The context, which tells of every value that is set directly in it. */
export function marking(context: Context, seen: (value: unknown) => void): Context {
  return {
    getValue: (key) => context.getValue(key),
    setValue: (key, value) => {
      seen(value);
      return context.setValue(key, value);
    },
    deleteValue: (key) => context.deleteValue(key),
  };
}

export function isSpan(value: unknown): value is Span {
  return typeof value === "object" && value !== null && "spanContext" in value && "setAttributes" in value;
}

// Dispatchers of undici, as far as they concern us, and those that fetch would use by itself.
import type { Handler } from "./handler.ts";

type Headers_ = Record<string, string> | string[];

/** What fetch hands to a dispatcher; the fields that we look at. */
export interface DispatchOptions {
  /** Where to: each hop of a redirect has its own. */
  origin?: string | URL;
  headers?: Headers_ | Iterable<[string, string]> | null;
}

/** An undici dispatcher, as far as it concerns us. */
export interface Dispatcher {
  dispatch(options: DispatchOptions, handler: Handler): boolean;
  /** True for a MockAgent at work, to which fetch hands the body as the caller gave it. */
  readonly isMockActive?: boolean;
}

const LEGACY_GLOBAL = Symbol.for("undici.globalDispatcher.1");
const CURRENT_GLOBAL = Symbol.for("undici.globalDispatcher.2");

const globals = globalThis as unknown as Record<symbol, Dispatcher | undefined>; // the cast: undici keeps its dispatchers there

/** The dispatchers that fetch could use, first the one of its own generation. */
export function globalDispatchers(handler: Handler): readonly (Dispatcher | undefined)[] {
  const [first, second] = handler.onRequestStart === undefined ? [LEGACY_GLOBAL, CURRENT_GLOBAL] : [CURRENT_GLOBAL, LEGACY_GLOBAL];
  return [globals[first], globals[second]];
}

/** The dispatcher that fetch would have used: looked up per call, so that `setGlobalDispatcher` counts, and by the generation of the handler. */
export function globalDispatcher(handler: Handler): Dispatcher {
  const [first, second] = globalDispatchers(handler);
  const found = first ?? second;
  if (found === undefined) throw new TypeError("premesh: fetch has no global dispatcher; pass createClient your own fetch function");
  return found;
}

/** Whether a MockAgent is at work for all of fetch; of which generation fetch is cannot be known before it has a handler, so either counts. */
export const isMocked = (): boolean => globals[CURRENT_GLOBAL]?.isMockActive === true || globals[LEGACY_GLOBAL]?.isMockActive === true;

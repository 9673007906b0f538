// adopt: a live instance of another library, run as a layer in the process that made it.
import type { ZodType } from "zod";
import { instanceOf, tied } from "../../policy/adopted.ts";
import { PolicyError } from "../../policy/error.ts";
import { type Named, namedFields, type Zod } from "../../policy/schema.ts";

/** A policy of cockatiel, by its shape: `retry`, `circuitBreaker`, `bulkhead`, `timeout`, `fallback`, or several by `wrap`. */
export interface CockatielPolicy {
  execute<T>(work: (context: { readonly signal: AbortSignal }) => PromiseLike<T> | T, signal?: AbortSignal): Promise<unknown>;
  readonly onSuccess: (listener: (event: { readonly duration: number }) => void) => unknown;
  readonly onFailure: (listener: (event: { readonly duration: number }) => void) => unknown;
}

/** A CircuitBreaker of opossum, by its shape. */
export interface OpossumBreaker {
  fire(...args: never[]): Promise<unknown>;
  open(): void;
  readonly name: string;
  readonly enabled: boolean;
  readonly closed: boolean;
  readonly opened: boolean;
  readonly halfOpen: boolean;
  readonly isShutdown: boolean;
  readonly stats: object;
}

/** A limiter of Bottleneck, by its shape; one of a Group comes from its `key(...)`. */
export interface BottleneckLimiter {
  schedule<R>(job: () => PromiseLike<R>): Promise<R>;
  counts(): object;
  stop(): Promise<void>;
}

/** What can be adopted. */
export type Adoptable = CockatielPolicy | OpossumBreaker | BottleneckLimiter;

export type AdoptOptions = Named;

/** The libraries whose instances can be adopted. */
export type AdoptedEngine = "cockatiel" | "opossum" | "bottleneck";

export interface AdoptDefinition extends Named {
  readonly kind: "adopt";
  /** The library that the instance is of. The instance itself is no data, and exists only in its process. */
  readonly engine: AdoptedEngine;
}

/**
 * Runs a live instance that you have already, a cockatiel policy, an opossum breaker or a Bottleneck limiter, as a layer, in this process. It is one
 * for all targets of the policy, and goes on serving whoever else uses it.
 *
 * Errors: those of the layers that do the same: `ERR_PREMESH_BREAKER_OPEN`, `ERR_PREMESH_BULKHEAD_FULL`, `ERR_PREMESH_RATE_LIMITED`,
 * `ERR_PREMESH_TIMEOUT`. `ERR_PREMESH_INVALID_OPTIONS` at once, where the instance is none of the three.
 *
 * @example
 * ```ts
 * definePolicy({ name: "mail", match: [{ host: "mail.internal" }], layers: [timeout("2s"), adopt(existingBreaker, { name: "mail-breaker" })] });
 * ```
 */
export function adopt(instance: Adoptable, options: AdoptOptions = {}): AdoptDefinition {
  const engine = engineOf(instance);
  if (engine === undefined) {
    throw new PolicyError(
      "ERR_PREMESH_INVALID_OPTIONS",
      `adopt takes a live instance: a cockatiel policy (with execute), an opossum CircuitBreaker (with fire) or a Bottleneck limiter (with schedule); got ${shown(instance)}`,
    );
  }
  const { name } = options;
  const definition: AdoptDefinition = { kind: "adopt", engine, ...(name === undefined ? {} : { name }) };
  return Object.freeze(tied(definition, instance));
}

/** Which library an object is of, by its shape: several copies and versions of a library may be loaded. */
function engineOf(instance: unknown): AdoptedEngine | undefined {
  if (typeof instance !== "object" || instance === null) return undefined;
  const it = instance as Readonly<Record<string, unknown>>; // the cast: any object can be asked for any key
  const has = (...names: readonly string[]): boolean => names.every((name) => typeof it[name] === "function");
  if (has("execute", "onSuccess", "onFailure")) return "cockatiel";
  if (has("fire", "open", "close", "on", "emit", "action") && typeof it["halfOpen"] === "boolean") return "opossum";
  if (has("schedule", "counts", "stop", "on")) return "bottleneck";
  return undefined;
}

function shown(instance: unknown): string {
  if (typeof instance !== "object" || instance === null) return typeof instance === "function" ? "a function" : String(instance);
  const { constructor } = instance as { constructor?: unknown }; // the cast: any object can be asked
  if (typeof constructor !== "function" || constructor === Object) return "another object";
  return constructor.name === "Group"
    ? "a Group: adopt the limiter that its key(...) gives"
    : `an instance of ${constructor.name || "another class"}`;
}

interface AdoptionProblem {
  /** Of the table in policy/problems.ts. */
  readonly code: "PM0308" | "PM0309";
  readonly message: string;
  readonly hint: string;
}

/** What is wrong with an `adopt` layer that the schema cannot see, if anything is. */
export function adoptionProblem(layer: object): AdoptionProblem | undefined {
  const instance = instanceOf(layer);
  if (instance === undefined) {
    return {
      code: "PM0308",
      message: "has no live instance: what is adopted exists only in the process that made it",
      hint: "write adopt(instance) in the code that makes the policy; files and copies of the definition cannot hold it",
    };
  }
  if (engineOf(instance) !== "opossum") return undefined;
  const { options } = instance as { options?: Readonly<Record<string, unknown>> }; // the cast: it is opossum's own field
  const sharing = ["cache", "coalesce"].find((name) => Boolean(options?.[name]));
  if (sharing === undefined) return undefined;
  return {
    code: "PM0309",
    message: `adopts an opossum breaker with the option ${sharing}: one call would get the response of another`,
    hint: "adopt a breaker without cache and coalesce",
  };
}

export const adoptSchema = (z: Zod): ZodType<AdoptDefinition> =>
  z.strictObject({ kind: z.literal("adopt"), ...namedFields(z), engine: z.enum(["cockatiel", "opossum", "bottleneck"]) });

export const adoptDurations = [] as const;

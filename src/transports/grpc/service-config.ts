// The service config that a user gives with a channel's options: retries in it are refused, and the timeouts of its methods are deadlines of calls.
//
// https://github.com/grpc/grpc/blob/master/doc/service_config.md
import { PolicyError } from "../../policy/error.ts";

interface MethodConfig {
  readonly name?: readonly { readonly service?: string; readonly method?: string }[];
  readonly timeout?: string | { readonly seconds?: number; readonly nanos?: number };
  readonly retryPolicy?: unknown;
  readonly hedgingPolicy?: unknown;
}

/** Milliseconds that a method may take; `undefined`: as long as it wants. `method` as `payments.v1.Payments/Charge`. */
export type MethodTimeouts = (method: string) => number | undefined;

const none: MethodTimeouts = () => undefined;

/** Reads `grpc.service_config`. What is no JSON is left to grpc-js, which says so. Throws `ERR_PREMESH_INVALID_OPTIONS` when it configures retries. */
export function methodTimeouts(text: unknown): MethodTimeouts {
  const configs = methodConfigs(text);
  for (const [index, config] of configs.entries()) {
    const kind = config.retryPolicy !== undefined ? "retryPolicy" : config.hedgingPolicy !== undefined ? "hedgingPolicy" : undefined;
    if (kind !== undefined)
      throw new PolicyError(
        "ERR_PREMESH_INVALID_OPTIONS",
        `premesh/grpc: grpc.service_config has a ${kind} (methodConfig[${index}]); two tiers that both retry multiply their attempts. Take it out, and say it in the policy: retry()`,
      );
  }
  const byName = new Map<string, number>();
  for (const { name = [], timeout } of configs) {
    const ms = timeout === undefined ? undefined : timeoutMs(timeout);
    if (ms === undefined) continue;
    for (const { service = "", method = "" } of name) if (!byName.has(`${service}/${method}`)) byName.set(`${service}/${method}`, ms);
  }
  if (byName.size === 0) return none;
  return (method) => byName.get(method) ?? byName.get(method.slice(0, method.lastIndexOf("/") + 1)) ?? byName.get("/");
}

function methodConfigs(text: unknown): readonly MethodConfig[] {
  if (typeof text !== "string") return [];
  try {
    const { methodConfig } = JSON.parse(text) as { methodConfig?: unknown }; // the cast: only looked at
    return Array.isArray(methodConfig) ? methodConfig.filter((one): one is MethodConfig => typeof one === "object" && one !== null) : [];
  } catch {
    return [];
  }
}

function timeoutMs(timeout: NonNullable<MethodConfig["timeout"]>): number | undefined {
  if (typeof timeout === "object") return (timeout.seconds ?? 0) * 1_000 + (timeout.nanos ?? 0) / 1e6;
  const seconds = /^(\d+(?:\.\d{1,9})?)s$/.exec(timeout)?.[1];
  return seconds === undefined ? undefined : Number(seconds) * 1_000;
}

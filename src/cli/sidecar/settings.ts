// The settings of a shim, as the words of the command say them.
import { durationMs } from "../../policy/duration.ts";
import type { Policy } from "../../policy/policy.ts";
import { addressProblem, isLocal } from "../../sidecar/addresses.ts";
import { ADMIN, OUTBOUND, type SidecarSettings } from "../../sidecar/settings.ts";
import { parseAddress } from "../../wire/address.ts";
import type { Words } from "../command.ts";
import { version } from "../version.ts";
import { sharedMisuse, sharedUrl } from "./shared-url.ts";

const ACCESS_LOGS = ["json", "text", "off"] as const;
const LOGS = ["text", "json"] as const;

export function misuseOf(words: Words): string | undefined {
  const { rest, has, valueOf } = words;
  if (rest.length > 1) return "sidecar takes one file of policies";
  if (has("demo") && rest.length > 0) return "--demo brings its own policies";
  for (const name of ["outbound", "inbound", "app", "admin", "health"]) {
    const text = valueOf(name);
    if (text === undefined || (text === "off" && (name === "outbound" || name === "admin"))) continue;
    const problem = addressProblem(text);
    if (problem !== undefined) return `--${name}: ${problem}`;
    if (name === "admin" && !has("admin-open") && !isLocal(parseAddress(text)))
      return `--admin ${text} can be reached from other machines, which could end the shim: take 127.0.0.1 or unix:, or say --admin-open (for probes and metrics there is --health)`;
  }
  if ((valueOf("inbound") === undefined) !== (valueOf("app") === undefined)) return "--inbound and --app go together";
  if (valueOf("outbound") === "off" && valueOf("inbound") === undefined) return "--outbound off leaves nothing to do without --inbound";
  for (const name of ["drain-time", "drain-delay"]) {
    const length = valueOf(name);
    if (length !== undefined && !(durationMs(length) >= 0)) return `--${name} must be a duration such as "20s"`;
  }
  return sharedMisuse(words) ?? oneOf("access-log", valueOf("access-log"), ACCESS_LOGS) ?? oneOf("log", valueOf("log"), LOGS);
}

const oneOf = (name: string, value: string | undefined, known: readonly string[]): string | undefined =>
  value === undefined || known.includes(value) ? undefined : `--${name} must be ${known.slice(0, -1).join(", ")} or ${known.at(-1)}`;

export function settingsOf(words: Words, policies: readonly Policy[]): SidecarSettings {
  const { rest, has, valueOf } = words;
  const at = (name: string, usual: string): string | undefined => {
    const address = valueOf(name) ?? usual;
    return address === "off" ? undefined : address;
  };
  const [inbound, app] = [valueOf("inbound"), valueOf("app")];
  const time = (name: string): number | undefined => {
    const length = valueOf(name);
    return length === undefined ? undefined : durationMs(length);
  };
  return {
    version: version(),
    policies,
    file: rest[0],
    outbound: at("outbound", OUTBOUND),
    inbound: inbound === undefined || app === undefined ? undefined : { listen: inbound, app },
    admin: at("admin", ADMIN),
    health: valueOf("health"),
    shared: sharedUrl(words, process.env),
    allowAny: has("allow-any"),
    trustInbound: has("trust-inbound"),
    accessLog: ACCESS_LOGS.find((one) => one === valueOf("access-log")),
    accessLogFile: valueOf("access-log-file"),
    logFormat: LOGS.find((one) => one === valueOf("log")),
    drainDelayMs: time("drain-delay"),
    drainTimeMs: time("drain-time"),
    reusePort: has("reuse-port"),
  };
}

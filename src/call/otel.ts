// OpenTelemetry's API, loaded when somebody in the process has registered something with it: without that it would do nothing, and its fifty files
// would make the import of premesh half as long again.
import { createRequire } from "node:module";

export type OpenTelemetry = typeof import("@opentelemetry/api");

/** Where the API, of any 1.x version and in any copy, keeps what is registered. */
const REGISTERED = Symbol.for("opentelemetry.js.api.1");

let api: OpenTelemetry | undefined;
let missing = false;

/** Gives the API to a program that has it within itself, and perhaps no packages beside it: the shim. */
export function giveOpenTelemetry(given: OpenTelemetry): void {
  api = given;
}

/** `undefined` until something is registered: an SDK, or parts of one. */
export function openTelemetry(): OpenTelemetry | undefined {
  if (api !== undefined || missing || !(REGISTERED in globalThis)) return api;
  try {
    api = createRequire(import.meta.url)("@opentelemetry/api") as OpenTelemetry; // the cast: require is untyped
  } catch (error) {
    missing = true;
    process.emitWarning(
      `an OpenTelemetry SDK is registered, but premesh finds no @opentelemetry/api beside it, so it records nothing: ${String(error)}`,
      {
        type: "PremeshWarning",
        code: "PREMESH_NO_OPENTELEMETRY_API",
      },
    );
  }
  return api;
}

// Probe: asks a sidecar whether it is there, each time over a new connection: `OPTIONS *`, which no upstream ever sees.
import type { IncomingMessage, RequestOptions } from "node:http";
import { setIdleTimer } from "../call/clock.ts";
import type { SidecarAddress } from "../call/crossing.ts";
import type { Env } from "../call/env.ts";
import { PROBE_FIELD, SEAM_VERSION, VERSION_FIELD } from "./names.ts";

/** A sidecar on the same machine that has nothing to say for so long is hung. */
const LONGEST_MS = 1_000;

/** Why it is not there; `undefined`: it is. */
export type Finding = string | undefined;

/** Asks once. It never rejects, and gives its answer at the latest when the signal is aborted. */
export async function probe({ url, socketPath }: SidecarAddress, { timers }: Pick<Env, "timers">, closing: AbortSignal): Promise<Finding> {
  const { request } = await import("node:http"); // loaded late: a process without sidecar does not need it
  if (closing.aborted) return "the client is closed";
  return new Promise<Finding>((resolve) => {
    const host = url.hostname.replace(/^\[|\]$/g, "");
    const options: RequestOptions = {
      method: "OPTIONS",
      path: "*",
      agent: false,
      headers: { host: url.host, [PROBE_FIELD]: "?1", connection: "close" },
      ...(socketPath === undefined ? { host, port: url.port === "" ? 80 : url.port } : { socketPath }),
    };
    const asked = request(options);
    const timer = setIdleTimer(timers, () => settle(`no answer within ${LONGEST_MS} ms`), LONGEST_MS);
    const close = (): void => settle("the client is closed");
    const settle = (finding: Finding): void => {
      timers.clearTimer(timer);
      closing.removeEventListener("abort", close);
      resolve(finding);
      asked.destroy();
    };
    closing.addEventListener("abort", close, { once: true });
    asked.once("socket", (socket) => socket.unref()); // it keeps no process alive
    asked.on("error", (error) => settle(wordsOf(error)));
    asked.once("response", (response: IncomingMessage) => settle(findingOf(response)));
    asked.end();
  });
}

function findingOf({ statusCode = 0, headers }: IncomingMessage): Finding {
  const version = headers[VERSION_FIELD];
  if (typeof version !== "string" || !/^\d{1,9}$/.test(version))
    return `what answers there is no sidecar of premesh (status ${statusCode})`;
  if (Number(version) < SEAM_VERSION) return `the sidecar is too old (it speaks version ${version}, and ${SEAM_VERSION} is needed)`;
  return statusCode === 204 ? undefined : `the sidecar takes no calls (status ${statusCode})`;
}

/** The code of an error, else its message. */
function wordsOf(error: Error): string {
  const { code } = error as { code?: unknown }; // the cast: any error can be asked
  return typeof code === "string" ? code : error.message;
}

// The shim as a process: signals, logs, and how it ends.
import { createWriteStream, writeSync } from "node:fs";
import { systemTimers } from "../call/clock.ts";
import { jsonLine, textLine } from "./access-log/lines.ts";
import { type Log, newLog } from "./log.ts";
import { newOutput, type Output } from "./output.ts";
import type { SidecarSettings } from "./settings.ts";
import { isExposed } from "./shared.ts";
import { type Addresses, startSidecar } from "./sidecar.ts";
import { startTelemetry } from "./telemetry/telemetry.ts";

/** How long the end waits for logs and exports that nobody takes. */
const PATIENCE_MS = 2_000;

const HIDE = "say the URL by --shared-file, or PREMESH_SHARED in the environment";

const EXIT = {
  /** It ended as it was told to. */
  ENDED: 0,
  /** It could not listen. */
  NOT_STARTED: 2,
  /** A fault of its own: sysexits' EX_SOFTWARE. */
  FAULT: 70,
} as const;

/** Runs until it is told to end, and gives the exit status. `listening` is told where, once it does. */
export async function runSidecar(settings: SidecarSettings, listening?: (addresses: Addresses) => void): Promise<number> {
  const errors = newOutput(process.stderr, { timers: systemTimers, gatherMs: 0 });
  const log = newLog(errors, settings.logFormat ?? "text", Date.now);
  endOnFaults();
  warningsTo(log);
  if (settings.shared !== undefined && isExposed(settings.shared, process.argv))
    log("warn", "password-exposed", `the password of the Redis can be read by others on the machine (ps): ${HIDE}`);
  const access = accessOutput(settings);
  const line = settings.accessLog === "text" ? textLine : jsonLine;
  const telemetry = await startTelemetry(process.env, log);
  const ending = Promise.withResolvers<void>();
  const outputs = access === undefined ? [errors] : [errors, access];
  let status: number = EXIT.ENDED;
  try {
    const sidecar = await startSidecar(settings, {
      log,
      telemetry,
      accessLog: access === undefined ? undefined : (entry, direction) => access.write(line(entry, direction)),
      dropped: () => outputs.reduce((sum, output) => sum + output.dropped(), 0),
      quit: ending.resolve,
    });
    listening?.(sidecar.addresses);
    let signals = 0;
    const onSignal = (signal: NodeJS.Signals): void => {
      log("info", "signal", signals++ === 0 ? `${signal}: drains, and ends` : `${signal} again: ends at once`, { signal });
      if (signals > 1) ending.resolve();
      else void sidecar.drain().then(() => ending.resolve());
    };
    process.on("SIGTERM", onSignal).on("SIGINT", onSignal);
    process.on("SIGHUP", () => {
      access?.reopen?.();
      void sidecar.reload();
    });
    await ending.promise;
    await sidecar.stop();
  } catch (error) {
    log("error", "not-started", error instanceof Error ? error.message : String(error));
    status = EXIT.NOT_STARTED;
  }
  await telemetry.shutdown(PATIENCE_MS);
  await Promise.all(outputs.map((output) => output.flush(PATIENCE_MS)));
  return status;
}

interface AccessOutput extends Output {
  /** For whoever has moved the file away (logrotate). */
  readonly reopen?: () => void;
}

function accessOutput({ accessLog, accessLogFile }: SidecarSettings): AccessOutput | undefined {
  if (accessLog === "off") return undefined;
  if (accessLogFile === undefined) return newOutput(process.stdout, { timers: systemTimers });
  const open = (): Output => newOutput(createWriteStream(accessLogFile, { flags: "a" }), { timers: systemTimers });
  let now = open();
  let droppedBefore = 0;
  return {
    write: (line) => now.write(line),
    flush: (patienceMs) => now.flush(patienceMs),
    end: (patienceMs) => now.end(patienceMs),
    dropped: () => droppedBefore + now.dropped(),
    reopen: () => {
      const before = now;
      now = open();
      void before.end(PATIENCE_MS).then(() => (droppedBefore += before.dropped()));
    },
  };
}

/**
 * A fault that nothing has caught leaves state that nobody knows: permits that are held for ever, half a message on a connection. The process ends, and says
 * why: whoever supervises it starts it anew in a fraction of a second, and clients of ours run the policies themselves meanwhile.
 */
function endOnFaults(): void {
  process.on("uncaughtException", (error, origin) => {
    try {
      const why = error instanceof Error ? (error.stack ?? error.message) : String(error);
      writeSync(2, `${JSON.stringify({ time: new Date().toISOString(), level: "error", event: "fault", message: why, origin })}\n`);
    } catch {
      // nobody listens
    }
    process.exit(EXIT.FAULT);
  });
}

/** In place of Node's own print, which knows no JSON. */
function warningsTo(log: Log): void {
  process.removeAllListeners("warning");
  process.on("warning", ({ name, message }) => log("warn", "warning", `${name}: ${message}`, { name }));
}

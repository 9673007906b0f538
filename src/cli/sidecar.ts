// premesh sidecar: runs the policies of a file in a process of its own, beside the service.
import type { Policy } from "../policy/policy.ts";
import { readPolicyFile } from "../policy-files/read.ts";
import { watchCollections } from "../sidecar/collections.ts";
import { giveBack, spareMemory } from "../sidecar/memory.ts";
import { ADMIN, DRAIN_DELAY_MS, DRAIN_TIME_MS, OUTBOUND } from "../sidecar/settings.ts";
import type { Command, Words } from "./command.ts";
import { printProblems } from "./problems.ts";
import { misuseOf, settingsOf } from "./sidecar/settings.ts";

export const sidecarCommand: Command = {
  name: "sidecar",
  usage: "sidecar [file]",
  summary: "run the policies of this file in a process beside the service",
  serves: true,
  options: {
    outbound: { value: "address", summary: `where calls of the app that go out come in, or off (default ${OUTBOUND})` },
    inbound: { value: "address", summary: "where calls to the app come in, as 0.0.0.0:15006 (default: nowhere)" },
    app: { value: "address", summary: "the app behind --inbound, as 127.0.0.1:8080" },
    admin: { value: "address", summary: `where the shim is looked after, or off (default ${ADMIN})` },
    "admin-open": { summary: "let --admin be reached from other machines" },
    health: { value: "address", summary: "where probes and Prometheus come from other machines, as 0.0.0.0:15021 (default: nowhere)" },
    shared: { value: "url", summary: "the Redis that limits and keys are shared by, as redis://10.0.0.1:6379 (default: none)" },
    "shared-file": { value: "file", summary: "the file that the same stands in; the variable PREMESH_SHARED is read, too" },
    "allow-any": { summary: "let calls through that no policy matches" },
    "trust-inbound": { summary: "heed x-envoy-* and premesh-* of callers on --inbound too" },
    "access-log": { value: "format", summary: "json, text or off (default json)" },
    "access-log-file": { value: "file", summary: "where the access log goes (default: stdout); SIGHUP opens it anew" },
    log: { value: "format", summary: "how the shim's own lines on stderr are written: text or json (default text)" },
    "drain-delay": {
      value: "duration",
      summary: `how long /readyz says no before connections are told to go (default ${DRAIN_DELAY_MS / 1_000}s)`,
    },
    "drain-time": { value: "duration", summary: `how long calls under way may take then (default ${DRAIN_TIME_MS / 1_000}s)` },
    "reuse-port": { summary: "let several shims listen on the same ports, for restarts without a gap" },
    demo: { summary: "start a shim with a flaky upstream behind it, and print what to curl" },
  },
  details: [
    "Addresses are written 127.0.0.1:15001, [::1]:15001 or unix:/run/premesh.sock.",
    "SIGHUP reads the file anew, as does a change of it. SIGTERM and SIGINT drain; a second one ends at once.",
  ].join("\n"),
  misuse: misuseOf,
  run: async (words) => {
    spareMemory();
    if (words.has("demo")) return (await import("./sidecar/demo.ts")).runDemo(settingsOf(words, []));
    // Both at once: a module of policies is read in another process.
    const [policies, { runSidecar }] = await Promise.all([policiesOf(words), import("../sidecar/process.ts")]);
    if (typeof policies === "number") return policies;
    return runSidecar(settingsOf(words, policies), () => {
      giveBack();
      watchCollections();
    });
  },
};

/** The policies to begin with, or the exit status. */
async function policiesOf({ rest: [file] }: Words): Promise<readonly Policy[] | number> {
  if (file === undefined) return [];
  const read = await readPolicyFile(file, { apart: true });
  return read.kind === "problems" ? printProblems(file, read.issues) : read.policies;
}

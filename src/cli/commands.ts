// The commands there are. Each is loaded when it is run, or when help is asked for.
import type { Command } from "./command.ts";

export const commands: Readonly<Record<string, () => Promise<Command>>> = {
  check: async () => (await import("./check.ts")).check,
  explain: async () => (await import("./explain.ts")).explain,
  simulate: async () => (await import("./simulate.ts")).simulateCommand,
  sidecar: async () => (await import("./sidecar.ts")).sidecarCommand,
  revision: async () => (await import("./revision.ts")).revisionCommand,
};

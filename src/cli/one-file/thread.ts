// The thread that reads modules, in a program that is one file: it is begun with the same file, and stands for `premesh` where none is installed.
import { registerHooks } from "node:module";
import { isMainThread, type WorkerOptions } from "node:worker_threads";

/** The word by which the file knows that it is this thread. */
const MARK = "premesh-policy-thread";

/** Where the names of `premesh` are found by the module that stands for it. */
const NAMES = Symbol.for("premesh.one-file");

const URL_OF_PREMESH = "premesh:index";

export const threadOptions = (options: WorkerOptions): WorkerOptions => ({ ...options, argv: [MARK] });

export const isPolicyThread = (): boolean => !isMainThread && process.argv.includes(MARK);

export async function runPolicyThread(): Promise<void> {
  const premesh = await import("../../index.ts");
  Object.defineProperty(globalThis, NAMES, { value: premesh });
  const source = Object.keys(premesh).map((name) => `export const ${name} = globalThis[Symbol.for("premesh.one-file")].${name};`);
  registerHooks({
    resolve: (specifier, context, next) => {
      try {
        return next(specifier, context);
      } catch (error) {
        if (specifier !== "premesh") throw error;
        return { url: URL_OF_PREMESH, format: "module", shortCircuit: true };
      }
    },
    load: (url, context, next) =>
      url === URL_OF_PREMESH ? { format: "module", source: source.join("\n"), shortCircuit: true } : next(url, context),
  });
  await import("../../policy-files/worker.ts");
}

// The process that reads modules, of a program that is one file: it is the same program, and stands for `premesh` where none is installed.
import { registerHooks } from "node:module";
import { setFlagsFromString } from "node:v8";

/** The word by which the program knows that it is this process. */
export const READER = "premesh-policy-reader";

/** Where the names of `premesh` are found by the module that stands for it. */
const NAMES = Symbol.for("premesh.one-file");

const URL_OF_PREMESH = "premesh:index";

export const isPolicyReader = (): boolean => process.send !== undefined && process.argv.at(-2) === READER;

export async function runPolicyReader(): Promise<void> {
  setFlagsFromString("--opt"); // whoever computes policies is not to wait
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
  await import("../../policy-files/reader.ts");
}

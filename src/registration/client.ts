// The registered client: made once in a thread, from the environment, and put in the place of the global fetch.
import { writeSync } from "node:fs";
import { isMainThread } from "node:worker_threads";
import { type Client, createClient } from "../client.ts";
import { policiesOf } from "./policies.ts";
import { settingsOf } from "./settings.ts";

/** Known to every copy of premesh in this thread, so that two of them do not stand around one fetch. */
const REGISTERED = Symbol.for("premesh.registered");

const globals = globalThis as { [REGISTERED]?: Client }; // the cast: the global object can be asked for any key

async function registered(): Promise<Client> {
  const before = globals[REGISTERED];
  if (before !== undefined) return before;
  const { files, ignoreErrors, problem } = settingsOf(process.env);
  if (problem !== undefined) return failed([problem], ignoreErrors);
  const { policies, problems } = await policiesOf(files);
  if (problems.length > 0) return failed(problems, ignoreErrors);
  // The fetch function of now stands beneath: one that is put in our place later calls us, and must not be called by us.
  const made = createClient({ policies, fetch: globalThis.fetch });
  globals[REGISTERED] = made;
  globalThis.fetch = made.fetch;
  process.env["PREMESH_POLICIES"] = files.join(","); // child processes may work in another folder
  return made;
}

/** Ends the process, or goes on with a client that has no policies and is not in the way of fetch. */
function failed(problems: readonly string[], ignoreErrors: boolean): Client {
  const [first = ""] = problems;
  if (ignoreErrors) {
    const more = problems.length === 1 ? "" : ` (and ${problems.length - 1} more)`;
    // a thread of the app has the same environment, and need not say it again
    if (isMainThread) told([`premesh: the app runs without policies: ${first}${more}`]);
    return createClient({ policies: [] });
  }
  told([
    ...problems.map((problem) => `premesh: ${problem}`),
    "premesh: the app was not started. Set this right, or set PREMESH_ON_ERROR=ignore to run it without policies.",
  ]);
  return process.exit(1);
}

/** Past the streams, since a thread that ends loses what they still hold. */
function told(lines: readonly string[]): void {
  try {
    writeSync(2, `${lines.join("\n")}\n`);
  } catch {
    // nobody listens
  }
}

/** The client whose policies stand around the global fetch: for `explain`, `status`, `on`. Where the app runs without policies, it has none. */
export const client: Client = await registered();

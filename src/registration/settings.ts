// The settings of premesh/register, as the environment has them.
import { resolve } from "node:path";

export interface Settings {
  /** Where the policies are, as absolute paths. */
  readonly files: readonly string[];
  /** Run the app without policies where they are wrong. */
  readonly ignoreErrors: boolean;
  /** What is wrong with the settings themselves, if anything is. */
  readonly problem: string | undefined;
}

export function settingsOf(env: NodeJS.ProcessEnv): Settings {
  const { PREMESH_POLICIES: list = "", PREMESH_ON_ERROR: onError = "exit" } = env;
  const named = list.split(",").map((file) => file.trim());
  const files = [...new Set(named.filter((file) => file !== "").map((file) => resolve(file)))];
  const problem =
    onError !== "exit" && onError !== "ignore"
      ? `PREMESH_ON_ERROR is "${onError}", and must be exit or ignore`
      : files.length === 0
        ? "premesh/register needs PREMESH_POLICIES: a file of policies, or several with commas between"
        : undefined;
  return { files, ignoreErrors: onError === "ignore", problem };
}

// Reload: reads the file of policies anew, and puts them in force if nothing is wrong with them; otherwise the last good ones stay.
import { issuesOf, type PolicyFile } from "../../policy-files/file.ts";
import { issueText } from "../../policy/invalid.ts";
import type { Policy } from "../../policy/policy.ts";
import { revision } from "../../policy/revision.ts";
import type { Log } from "../log.ts";

export interface ReloadStatus {
  readonly file: string;
  readonly succeeded: number;
  readonly failed: number;
  /** When the policies in force were read, in milliseconds since 1970. */
  readonly lastSucceededAtMs: number;
  /** Why the file as it is now is not in force. */
  readonly lastError: { readonly atMs: number; readonly problems: readonly string[] } | undefined;
}

export interface Reload {
  /** Reads what the file is from now on. Resolves when that is in force or refused; what is asked for during a reading becomes one more. */
  readonly reload: () => Promise<void>;
  readonly status: () => ReloadStatus;
  /** Nothing more is put in force. */
  readonly close: () => void;
}

export interface ReloadOptions {
  readonly file: string;
  /** The policies in force now. */
  readonly policies: readonly Policy[];
  readonly read: () => Promise<PolicyFile>;
  /** Puts policies in force; throws when they are wrong, and then changes nothing. */
  readonly apply: (policies: readonly Policy[]) => void;
  readonly log: Log;
  readonly wall: () => number;
}

export function newReload({ file, policies, read, apply, log, wall }: ReloadOptions): Reload {
  let inForce = policies;
  let succeeded = 0;
  let failed = 0;
  let lastSucceededAtMs = wall();
  let lastError: ReloadStatus["lastError"];
  let closed = false;
  let asked = false;
  let reading: Promise<void> | undefined;

  async function readWhileAsked(): Promise<void> {
    while (asked && !closed) {
      asked = false;
      await readOnce();
    }
    reading = undefined; // here, and not when its promise settles: whoever asks in between would be lost
  }

  async function readOnce(): Promise<void> {
    const problems = await attempt();
    if (closed) return;
    if (problems.length === 0) {
      succeeded++;
      lastSucceededAtMs = wall();
      lastError = undefined;
      return;
    }
    failed++;
    lastError = { atMs: wall(), problems };
    for (const problem of problems)
      log("error", "reload-failed", `${file}: ${problem}: the policies from before stay in force`, { file, problem });
  }

  /** What is wrong; nothing, when the policies are in force. */
  async function attempt(): Promise<readonly string[]> {
    let found: PolicyFile;
    try {
      found = await read();
      if (closed) return [];
      if (found.kind === "problems") return found.issues.map(issueText);
      apply(found.policies);
    } catch (error) {
      return issuesOf(error)?.map(issueText) ?? [error instanceof Error ? error.message : String(error)];
    }
    const changes = changesBetween(inForce, found.policies);
    inForce = found.policies;
    if (changes.length > 0) log("info", "reloaded", `${file}: read anew; ${changes.join(", ")}`, { file, changes });
    else if (lastError !== undefined) log("info", "reloaded", `${file}: is right again, and says what is in force`, { file, changes });
    return [];
  }

  return {
    reload: () => {
      asked = true;
      return (reading ??= readWhileAsked());
    },
    status: () => ({ file, succeeded, failed, lastSucceededAtMs, lastError }),
    close: () => void (closed = true),
  };
}

/** In words: `payments is new`. */
function changesBetween(before: readonly Policy[], after: readonly Policy[]): readonly string[] {
  const old = new Map(before.map((policy) => [policy.name, revision(policy)]));
  const changes: string[] = [];
  for (const policy of after) {
    const was = old.get(policy.name);
    old.delete(policy.name);
    const is = revision(policy);
    if (was === undefined) changes.push(`${policy.name} is new`);
    else if (was !== is) changes.push(`${policy.name} went from ${was} to ${is}`);
  }
  return [...changes, ...[...old.keys()].map((name) => `${name} is gone`)];
}

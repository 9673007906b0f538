// A file of endpoints, watched for change. Its directory is watched, so that a file that is replaced is seen, and a ConfigMap, whose files are links
// that are swapped as a whole. Where that does not work (network file systems), it is looked at now and then besides.
import { type FSWatcher, type Stats, watch } from "node:fs";
import { readFile, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { setIdleTimer } from "../../../call/clock.ts";
import type { Env } from "../../../call/env.ts";
import { LONGEST_TEXT, readText } from "../../../policy/text.ts";
import type { EndpointFile } from "./definition.ts";
import { type Source, wordsOf } from "./found.ts";
import { foundInFile } from "./slice.ts";

/** Whoever writes a file makes several events of it. */
const SETTLE_MS = 50;

export function watchedFile({ path, port }: EndpointFile, refreshMs: number, { timers }: Pick<Env, "timers">): Source {
  return ({ found, failed }) => {
    let closed = false;
    let watcher: FSWatcher | undefined;
    let settling: unknown;
    let polling: unknown;
    let reading: Promise<void> | undefined;
    /** What was read last, so that a file that is as it was is not read again. */
    let seen = "";
    let error: string | undefined;

    function read(changed: boolean): Promise<void> {
      return (reading ??= look(changed).finally(() => {
        reading = undefined;
      }));
    }

    async function look(changed: boolean): Promise<void> {
      try {
        const mark = markOf(await stat(path));
        if (mark === seen && !changed) return;
        const text = await readFile(path, "utf8");
        const endpoints = foundInFile(readText(text).value, port);
        seen = mark;
        error = undefined;
        if (!closed) found(endpoints);
      } catch (problem) {
        seen = "";
        const message = wordsOf(problem);
        if (closed || message === error) return; // said already
        error = message;
        failed(problem);
      }
    }

    function listen(): void {
      if (watcher !== undefined || closed) return;
      try {
        watcher = watch(dirname(path), { persistent: false }, () => {
          timers.clearTimer(settling);
          settling = setIdleTimer(timers, () => void read(true), SETTLE_MS);
        });
        watcher.on("error", unlisten); // the directory is gone: it is looked at now and then until it is back
      } catch {
        watcher = undefined;
      }
    }

    function unlisten(): void {
      watcher?.close();
      watcher = undefined;
    }

    function poll(): void {
      polling = setIdleTimer(
        timers,
        () => {
          listen();
          void read(false);
          poll();
        },
        refreshMs,
      );
    }

    listen();
    void read(true);
    poll();
    return () => {
      closed = true;
      unlisten();
      timers.clearTimer(settling);
      timers.clearTimer(polling);
    };
  };
}

/** Another file, or another content. */
function markOf({ size, mtimeMs, ino }: Stats): string {
  if (size > LONGEST_TEXT) throw new Error(`the file is longer than ${LONGEST_TEXT} bytes`);
  return `${ino} ${size} ${mtimeMs}`;
}

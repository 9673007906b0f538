// watchFile: tells when a file may have changed, been replaced, or gone, however that is done.
//
// Its folder is watched, not the file: editors replace files, and Kubernetes swaps a symlink beside them (a ConfigMap's `..data`). Where a symlink leads
// elsewhere, the folder that it leads to is watched too. A look every few seconds finds what no event told of: network file systems, folders that were made anew.
import { type FSWatcher, realpathSync, statSync, watch } from "node:fs";
import { basename, dirname, extname, resolve } from "node:path";

export interface FileWatch {
  readonly close: () => void;
}

export interface WatchOptions {
  /** Several events at once become one call after so many milliseconds. Default 100. */
  readonly settleMs?: number;
  /** How often it is looked at without an event, in milliseconds. Default 5,000. */
  readonly lookMs?: number;
}

export function watchFile(file: string, changed: () => void, { settleMs = 100, lookMs = 5_000 }: WatchOptions = {}): FileWatch {
  const path = resolve(file);
  const watchers = new Map<string, FSWatcher>();
  let timer: NodeJS.Timeout | undefined;
  let seen = lookAt(path);

  /** The folders to watch now. */
  function rewatch(): void {
    const folders = new Set([dirname(path), dirname(realOf(path) ?? path)]);
    for (const [folder, watcher] of watchers) {
      if (folders.has(folder)) continue;
      watcher.close();
      watchers.delete(folder);
    }
    for (const folder of folders) {
      if (watchers.has(folder)) continue;
      try {
        const watcher = watch(folder, { persistent: false }, (_event, name) => {
          if (name === null || concerns(name, path)) soon();
        });
        watcher.on("error", () => {
          watcher.close();
          watchers.delete(folder);
        });
        watchers.set(folder, watcher);
      } catch {
        // no such folder now, or no more watches to be had: the look every few seconds remains
      }
    }
  }

  function soon(): void {
    timer ??= setTimeout(() => {
      timer = undefined;
      seen = lookAt(path);
      rewatch();
      changed();
    }, settleMs);
  }

  const looking = setInterval(() => {
    const now = lookAt(path);
    if (now === seen) return;
    for (const watcher of watchers.values()) watcher.close(); // their folder may be another of the same name
    watchers.clear();
    soon();
  }, lookMs).unref();
  rewatch();

  return {
    close: () => {
      clearTimeout(timer);
      clearInterval(looking);
      for (const watcher of watchers.values()) watcher.close();
      watchers.clear();
    },
  };
}

/** A policy module may import its neighbours; logs and the like in the same folder are none of our affair. */
const concerns = (name: string, path: string): boolean =>
  name === basename(path) || name.startsWith("..") || [".ts", ".mts", ".js", ".mjs", ".json"].includes(extname(name));

function realOf(path: string): string | undefined {
  try {
    return realpathSync(path);
  } catch {
    return undefined;
  }
}

function lookAt(path: string): string {
  try {
    const { dev, ino, size, mtimeMs } = statSync(path);
    return `${realOf(path) ?? ""} ${dev} ${ino} ${size} ${mtimeMs}`;
  } catch {
    return "";
  }
}

// Source: where the endpoints of one entry of a route come from, at work.
import type { Env } from "../../../call/env.ts";
import { instanceOf } from "../../../policy/adopted.ts";
import { durationMs } from "../../../policy/duration.ts";
import type { RouteTarget } from "../definition.ts";
import { type FindEndpoints, MOST_ENDPOINTS, REFRESH } from "./definition.ts";
import { dnsLook } from "./dns.ts";
import { watchedFile } from "./file.ts";
import { type Found, foundIn, type Known, type Source } from "./found.ts";
import { refreshed } from "./refreshed.ts";
import { srvLook } from "./srv.ts";

export function sourceOf(entry: RouteTarget, env: Pick<Env, "timers" | "random">): Source {
  const { endpoints, dns, srv, file } = entry;
  const refreshMs = durationMs(entry.refresh ?? REFRESH);
  if (dns !== undefined) return refreshed(dnsLook(new URL(dns), refreshMs), env);
  if (srv !== undefined) return refreshed(srvLook(srv, refreshMs), env);
  if (file !== undefined) return watchedFile(typeof file === "string" ? { path: file } : file, refreshMs, env);
  if (endpoints !== "function") {
    const found = foundIn(endpoints ?? []);
    return (listener) => {
      listener.found(found);
      return () => undefined;
    };
  }
  const find = instanceOf(entry) as FindEndpoints | undefined; // the cast: the builder has tied it, and the check has seen it
  const known: Known = new Map();
  return refreshed(async (signal) => ({ endpoints: foundIn(await (find?.({ signal }) ?? []), known), holdsMs: refreshMs }), env);
}

/** The source, whose answers are free of doubles and at most so many. `cut` is told of those that are left out. */
export const bounded =
  (source: Source, cut: (count: number) => void): Source =>
  ({ found, failed }) =>
    source({
      failed,
      found: (all) => {
        const byKey = new Map<string, Found>();
        for (const one of all) {
          if (byKey.has(one.key)) continue;
          if (byKey.size < MOST_ENDPOINTS) byKey.set(one.key, one);
          else {
            cut(all.length);
            break;
          }
        }
        found(byKey.size === all.length ? all : [...byKey.values()]);
      },
    });

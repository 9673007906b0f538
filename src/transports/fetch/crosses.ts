// How calls of fetch cross a seam: which of them can, and what their callers are told when there was no answer.
import type { Crosses } from "../../call/crossing.ts";
import { runtimeFetch } from "./beneath.ts";
import type { FetchPayload } from "./once.ts";
import type { FetchFunction } from "./request.ts";
import { isMocked } from "./dispatcher.ts";

/** Only the runtime's own fetch can be turned to a sidecar from below; and a dispatcher of the caller's, or a mock, is there to be used. */
export function fetchCrosses(fetchNow: () => FetchFunction): Crosses {
  return {
    originOf: ({ origin, payload }) => {
      const { dispatcher, url } = payload as FetchPayload; // the cast: it is only put on calls with this payload
      return dispatcher !== undefined || fetchNow() !== runtimeFetch || isMocked() ? undefined : (origin ?? url.origin);
    },
    moved: (response, origin) => {
      const { url } = response as Response; // the cast: the runtime's fetch gave it
      const { pathname, search } = new URL(url);
      if (URL.canParse(origin)) Object.defineProperty(response, "url", { value: new URL(pathname + search, origin).href });
    },
    unanswered: (_code, { message, name, code }) => {
      const cause: Error & { code?: string } = new Error(message);
      if (name !== undefined) cause.name = name;
      if (code !== undefined) cause.code = code;
      return new TypeError("fetch failed", { cause });
    },
  };
}

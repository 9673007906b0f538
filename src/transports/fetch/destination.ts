// Where an attempt goes: what the caller said, another origin in its place, or the address of an endpoint.
import type { Call } from "../../call/call.ts";
import type { Field } from "./field.ts";
import type { FetchPayload } from "./once.ts";
import { type FetchInput, requestIn } from "./request.ts";
import type { Detour } from "./tap.ts";

/** Where to: what the caller said, or the same path at another origin. */
export function destination({ input, url }: FetchPayload, elsewhere: string | undefined): FetchInput {
  if (elsewhere === undefined) return input;
  const there = new URL(url.pathname + url.search, elsewhere);
  const request = requestIn(input);
  if (request === undefined) return there;
  const { method, headers, redirect, signal, credentials, cache, referrer, referrerPolicy, integrity, keepalive } = request;
  return new (request.constructor as typeof Request)(there, {
    method,
    headers,
    redirect,
    signal,
    credentials,
    cache,
    referrer,
    referrerPolicy,
    integrity,
    keepalive,
  }); // the cast: a Request is made by its class
}

/** The way to the endpoint, or to the sidecar. The peer is called by the name that the caller used, unless the route says otherwise. */
export function detourOf({ origin, authority, endpoint, crossing }: Call, url: URL): Detour | undefined {
  if (endpoint === undefined && crossing === undefined) return undefined;
  const from = origin === undefined ? url : new URL(origin);
  if (crossing !== undefined) return { from: from.origin, to: crossing.to.url.origin, host: authority ?? from.host, crossing };
  if (endpoint === undefined) return undefined;
  return { from: from.origin, to: endpoint.key, host: authority === endpoint.url.host ? undefined : (authority ?? from.host) };
}

/** For a fetch function that goes by the URL alone. Some set no Host that they are given: then the peer is called by its address. */
export const hosted = (fields: readonly Field[], detour: Detour | undefined): readonly Field[] =>
  detour?.host === undefined ? fields : [...fields, ["host", detour.host]];

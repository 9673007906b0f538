// Stand-in: when a layer has answered in the place of the work, what the work still says of its response is taken and goes nowhere, so that it meets no
// error for what it could not know.
import { ServerResponse } from "node:http";
import type { Recording } from "./recording.ts";
import { fieldsOf } from "./recording.ts";

/** What is asked and told about fields is kept apart from the response that was sent. */
const FIELDS = [
  "setHeader",
  "setHeaders",
  "appendHeader",
  "getHeader",
  "getHeaders",
  "getHeaderNames",
  "hasHeader",
  "removeHeader",
] as const;

const SILENT = ["flushHeaders", "writeContinue", "writeProcessing", "writeEarlyHints", "cork", "uncork"] as const;

/** Fields of the work's own answer, which the one in its place does not have. */
const OF_THE_ANSWER = [
  "content-type",
  "content-length",
  "content-encoding",
  "content-range",
  "content-language",
  "content-disposition",
  "transfer-encoding",
  "trailer",
  "etag",
  "last-modified",
  "cache-control",
  "expires",
  "location",
];

type Callback = (() => void) | undefined;

/** `answer` answers; the work has no part in the response from then on. Fields that are not of the answer itself (CORS, a request id) stay on it. */
export function standIn(response: ServerResponse, recording: Recording | undefined, answer: () => void): void {
  const apart = new ServerResponse(response.req);
  for (const [name, value] of Object.entries(response.getHeaders())) if (value !== undefined) apart.setHeader(name, value);
  for (const name of OF_THE_ANSWER) response.removeHeader(name);
  answer();
  const given: { status: number | undefined; fields: unknown } = { status: undefined, fields: undefined };
  const methods: Record<string, unknown> = {};
  for (const name of FIELDS) {
    const method = apart[name] as (...all: unknown[]) => unknown; // the cast: it is called as the work calls it
    methods[name] = (...args: unknown[]): unknown => {
      const result = method.apply(apart, args);
      return result === apart ? response : result;
    };
  }
  for (const name of SILENT) methods[name] = () => undefined;
  const head = (): void => recording?.head(given.status ?? response.statusCode, fieldsOf(apart, given.fields));
  methods["writeHead"] = (status: number, ...more: unknown[]): ServerResponse => {
    given.status = status;
    given.fields = more.find((one) => typeof one === "object" && one !== null);
    head();
    return response;
  };
  methods["addTrailers"] = (fields: unknown): void => recording?.trailers(fieldsOf({ getHeaders: () => ({}) }, fields));
  methods["write"] = (chunk: unknown, encoding: unknown, written: unknown): boolean => {
    head();
    recording?.write(chunk, encoding);
    later(encoding, written);
    return true;
  };
  methods["end"] = (chunk: unknown, encoding: unknown, written: unknown): ServerResponse => {
    head();
    if (typeof chunk !== "function") recording?.write(chunk, encoding);
    recording?.end();
    later(chunk, encoding, written);
    return response;
  };
  Object.assign(response, methods);
}

/** Calls the one of the arguments that is a callback. */
function later(...args: readonly unknown[]): void {
  const callback = args.find((one) => typeof one === "function") as Callback; // the cast: Node's callbacks take nothing where all went well
  if (callback !== undefined) process.nextTick(callback);
}

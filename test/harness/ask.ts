// Ask: a plain HTTP/1.1 client without premesh, which asks a shim for what is at some host, over a connection of its own.
import { type IncomingHttpHeaders, request, type OutgoingHttpHeaders } from "node:http";

export interface Question {
  readonly method?: string;
  /** Whom it names in Host. Default: the shim itself. */
  readonly host?: string;
  readonly path?: string;
  readonly headers?: OutgoingHttpHeaders;
  /** Sent in as many chunks. */
  readonly body?: readonly (string | Uint8Array)[];
  readonly trailers?: OutgoingHttpHeaders;
  readonly signal?: AbortSignal;
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly rawHeaders: readonly string[];
  readonly body: string;
  readonly trailers: NodeJS.Dict<string>;
  /** Statuses of interim responses. */
  readonly interim: readonly number[];
}

/** Rejects when the response breaks off; with the signal's reason when that was why. */
export function ask(address: string, question: Question = {}): Promise<Answer> {
  const { method = "GET", host = address, path = "/", headers = {}, body, trailers, signal } = question;
  const [hostname, port] = address.split(":");
  return new Promise((resolve, reject) => {
    const interim: number[] = [];
    const failed = (error: Error): void => reject(signal?.aborted === true ? (signal.reason as Error) : error); // the cast: tests abort with one
    const asking = request({ hostname, port, method, path, headers: { host, ...headers }, agent: false });
    asking.on("information", ({ statusCode }) => interim.push(statusCode));
    asking.on("error", failed);
    asking.on("response", (response) => {
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (chunk: string) => (text += chunk));
      response.on("error", failed);
      response.on("end", () => {
        const { statusCode = 0, headers: given, rawHeaders, trailers: behind } = response;
        resolve({ status: statusCode, headers: given, rawHeaders, body: text, trailers: behind, interim });
      });
    });
    signal?.addEventListener("abort", () => asking.destroy(), { once: true });
    for (const chunk of body ?? []) asking.write(chunk);
    if (trailers !== undefined) asking.addTrailers(trailers);
    asking.end();
  });
}

// Exchange: one request of node:http and its response, between the layers and the work that answers it.
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Call } from "../../call/call.ts";
import { abortedOutcome, httpOutcome, thrownOutcome } from "../../call/classify.ts";
import { digestOf } from "../../call/digest.ts";
import { type End, endNow, newEnd, whenEnded } from "../../call/end.ts";
import type { Incoming } from "../../call/incoming.ts";
import type { Outcome } from "../../call/outcome.ts";
import type { Abort } from "../../call/signal.ts";
import { wholeBody } from "./body.ts";
import { makeKnown } from "./known.ts";
import { whenClosed } from "./leaving.ts";
import { fieldsOf, newRecording, type Recording } from "./recording.ts";
import type { InPlace } from "./refusal.ts";
import { Replayed } from "./replay.ts";
import { standIn } from "./stand-in.ts";

/** The work: what follows in the user's application. */
type Work = () => unknown;

export interface Exchange {
  readonly incoming: Incoming;
  /** Begins the work. Never rejects. */
  readonly send: (call: Call) => Promise<Outcome<unknown>>;
  /** Answers in the place of the work, unless the head has gone out. */
  answer(inPlace: InPlace): void;
  /** What the work gave back: a promise, where it is async. */
  readonly returned: () => Promise<unknown> | undefined;
}

const nothing = (): void => undefined;

/** `left`: aborted when whoever asked has gone. `closed`: the response is over. */
export function newExchange(
  request: IncomingMessage,
  response: ServerResponse,
  work: Work,
  left: Abort,
  now: () => number,
  closed: () => void,
): Exchange {
  const end: End = newEnd();
  let sending: Promise<Outcome<unknown>> | undefined;
  let returned: Promise<unknown> | undefined;
  let recording: Recording | undefined;
  let settled = false;
  // oxlint-disable-next-line typescript/unbound-method -- each is applied to the response
  const own = { writeHead: response.writeHead, write: response.write, end: response.end, addTrailers: response.addTrailers };

  whenClosed(response, () => {
    closed();
    if (response.writableFinished) return endNow(end);
    const gone = new DOMException("whoever asked has left", "AbortError");
    left.abort(gone);
    endNow(end, gone);
    if (settled) recording?.over();
  });

  /** The work has come to its end, by what it gave back. */
  function workSettled(): void {
    settled = true;
    if (end.ended) recording?.over();
  }

  function sent(call: Call): Promise<Outcome<unknown>> {
    const { signal, record } = call;
    if (signal?.aborted === true) return Promise.resolve(abortedOutcome(signal));
    record.attempts++;
    record.sent++;
    makeKnown(request, call, now);
    return new Promise((resolve) => {
      let headed = false;
      response.writeHead = (...args: unknown[]): ServerResponse => {
        // the cast: it is given what the caller gave, by whichever of the overloads
        (own.writeHead as (...all: unknown[]) => void).apply(response, args);
        recording?.head(
          response.statusCode,
          fieldsOf(
            response,
            args.find((arg) => typeof arg === "object" && arg !== null),
          ),
        );
        if (!headed) resolve(httpOutcome(response, response.statusCode, undefined, end, nothing));
        headed = true;
        return response;
      };
      if (signal !== undefined) {
        const aborted = (): void => {
          if (headed) response.destroy();
          else resolve(abortedOutcome(signal, true));
        };
        signal.addEventListener("abort", aborted, { once: true });
        whenEnded(end, () => signal.removeEventListener("abort", aborted));
      }
      if (recording !== undefined) tap(recording);
      const failed = (error: unknown): void => {
        workSettled();
        resolve(thrownOutcome(error));
      };
      try {
        const result = work();
        if (!isThenable(result)) return;
        returned = Promise.resolve(result);
        returned.then(workSettled, failed);
      } catch (error) {
        returned = Promise.reject(error); // oxlint-disable-line typescript/prefer-promise-reject-errors -- whatever was thrown is thrown again
        returned.catch(failed);
      }
    });
  }

  /** What the work writes is kept, and goes out as ever. */
  function tap(to: Recording): void {
    /** Once whoever asked has left, Node writes no head any more. */
    const headless = (): void => {
      if (response.destroyed) to.head(response.statusCode, fieldsOf(response, undefined));
    };
    // the casts: each is given what the caller gave, by whichever of its overloads
    response.write = ((...args: unknown[]) => {
      headless();
      to.write(args[0], args[1]);
      return (own.write as (...all: unknown[]) => boolean).apply(response, args);
    }) as ServerResponse["write"];
    response.end = ((...args: unknown[]) => {
      headless();
      const result = (own.end as (...all: unknown[]) => ServerResponse).apply(response, args);
      to.write(args[0], args[1]);
      to.end();
      return result;
    }) as ServerResponse["end"];
    response.addTrailers = (fields) => {
      to.trailers(fieldsOf({ getHeaders: () => ({}) }, fields));
      own.addTrailers.call(response, fields);
    };
  }

  return {
    send: (call) => (sending ??= sent(call)), // an adopted engine may send again; the work is done once
    returned: () => returned,
    answer: (inPlace) => {
      if (response.headersSent || response.writableEnded || response.destroyed) return;
      if (sending === undefined) return write(response, inPlace);
      standIn(response, recording, () => {
        Object.assign(response, own);
        write(response, inPlace);
      });
    },
    incoming: {
      asked: async (most, signal) => {
        const body = await wholeBody(request, most, signal);
        if (typeof body === "string") return { not: body };
        return { digest: digestOf(`${request.method ?? ""} ${pathOf(request)}\n${digestOf(body)}`) };
      },
      record: (most, told) => {
        recording = newRecording(most, told);
        return undefined;
      },
      cut: () => void response.destroy(),
      replay: (answer) => httpOutcome(new Replayed(answer), answer.status, undefined, end, nothing),
    },
  };
}

/** The path with its query as it came; Express shortens `url` for what it mounts. */
export const pathOf = (request: IncomingMessage): string => (request as { originalUrl?: string }).originalUrl ?? request.url ?? "/"; // the cast: Express's own

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === "object" && value !== null && "then" in value && typeof value.then === "function";
}

/** One value for each name, or a list of them; a response without a body gets no word about its length. */
function write(response: ServerResponse, { status, fields, body, trailers = [] }: InPlace): void {
  for (const [name, values] of Map.groupBy(fields, ([field]) => field)) {
    const texts = values.map(([, value]) => value);
    response.setHeader(name, texts.length === 1 ? (texts[0] ?? "") : texts);
  }
  response.statusCode = status;
  if (trailers.length === 0) return void response.end(body);
  response.write(body); // in chunks, since only behind them is there a place for trailers
  response.addTrailers(trailers.map(([name, value]): [string, string] => [name, value]));
  response.end();
}

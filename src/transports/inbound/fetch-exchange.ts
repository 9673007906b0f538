// Exchange over fetch's own objects: one Request and the Response to it, between the layers and the work that answers it.
import { createHash } from "node:crypto";
import type { Call } from "../../call/call.ts";
import { abortedOutcome, httpOutcome, thrownOutcome } from "../../call/classify.ts";
import { endNow, newEnd, whenEnded } from "../../call/end.ts";
import type { Asked, Incoming } from "../../call/incoming.ts";
import type { Outcome } from "../../call/outcome.ts";
import type { Abort, Signal } from "../../call/signal.ts";
import { dropped, type Flowing, flowing, type Watch } from "./flowing.ts";
import { makeKnown } from "./known.ts";
import { newRecording, type Recording } from "./recording.ts";
import { Replayed } from "./replay.ts";

/** The work: what follows in the user's application. */
export type FetchWork = () => Response | Promise<Response>;

export interface FetchExchange {
  readonly incoming: Incoming;
  /** Begins the work. Never rejects. */
  readonly send: (call: Call) => Promise<Outcome<unknown>>;
  /** Somebody else has answered: what the work still gives goes nowhere. */
  over(): void;
  /** The work has come to its end, or never begins. Never rejects. */
  worked(): Promise<void>;
}

const nothing = (): void => undefined;

/** `left`: aborted when whoever asked has gone. `closed`: the response is over. */
export function newFetchExchange(request: Request, work: FetchWork, left: Abort, now: () => number, closed: () => void): FetchExchange {
  const end = newEnd();
  let sending: Promise<Outcome<unknown>> | undefined;
  let recording: Recording | undefined;
  let out: Flowing | undefined;
  let working: Promise<void> | undefined;
  let answered = false;
  const gone = (): void => left.abort(request.signal.reason ?? new DOMException("whoever asked has left", "AbortError"));
  const { signal: asking } = request;
  if (asking.aborted) gone();
  else asking.addEventListener("abort", gone, { once: true });
  whenEnded(end, () => {
    asking.removeEventListener("abort", gone);
    closed();
  });

  const watch: Watch = {
    chunk: (bytes) => recording?.write(bytes, undefined),
    whole: () => recording?.end(),
    ended: (error) => endNow(end, error),
    get toTheEnd() {
      return recording !== undefined;
    },
  };

  async function sent(call: Call): Promise<Outcome<unknown>> {
    const { signal, record } = call;
    if (signal?.aborted === true) return abortedOutcome(signal);
    record.attempts++;
    record.sent++;
    makeKnown(request, call, now);
    return new Promise((resolve) => {
      let aborted = false;
      const abort = (): void => {
        if (out !== undefined) return out.cut(signal?.reason);
        aborted = true;
        return resolve(abortedOutcome(signal, true));
      };
      signal?.addEventListener("abort", abort, { once: true });
      whenEnded(end, () => signal?.removeEventListener("abort", abort));
      working = (async () => work())().then(
        (response) => {
          recording?.head(response.status, [...response.headers]);
          // what a HEAD is answered with is dropped by servers, and nobody would say so
          if (request.method === "HEAD" || aborted || answered || left.aborted) dropped(response, watch);
          else out = flowing(response, watch);
          const given = out?.response ?? new Response(null, response);
          return resolve(httpOutcome(given, response.status, undefined, end, nothing));
        },
        (error: unknown) => {
          recording?.over();
          endNow(end);
          resolve(thrownOutcome(error));
        },
      );
    });
  }

  return {
    over: () => {
      answered = true;
      endNow(end);
    },
    worked: () => working ?? Promise.resolve(),
    send: (call) => (sending ??= sent(call)), // an adopted engine may send again; the work is done once
    incoming: {
      asked: (most, signal) => asked(request, most, signal),
      record: (most, told) => {
        recording = newRecording(most, told);
        return undefined;
      },
      cut: () => out?.cut(left.reason),
      replay: (answer) => {
        endNow(end); // it is whole
        return httpOutcome(new Replayed(answer), answer.status, undefined, end, nothing);
      },
    },
  };
}

/** A clone is read; the work has the request as it came. */
async function asked(request: Request, most: number, signal: Signal | undefined): Promise<Asked> {
  if (request.bodyUsed) return { not: "taken" };
  const { pathname, search } = new URL(request.url);
  const hash = createHash("sha256").update(`${request.method} ${pathname}${search}\n`);
  if (request.body === null) return { digest: hash.digest("base64url") };
  const reader = request.clone().body?.getReader();
  const stop = (): void => void reader?.cancel().catch(() => undefined);
  signal?.addEventListener("abort", stop, { once: true });
  try {
    let bytes = 0;
    for (;;) {
      const read = await reader?.read();
      if (signal?.aborted === true) return { not: "gone" };
      if (read === undefined || read.done) return { digest: hash.digest("base64url") };
      bytes += read.value.byteLength;
      if (bytes > most) {
        stop();
        return { not: "too-long" };
      }
      hash.update(read.value);
    }
  } catch {
    return { not: "gone" };
  } finally {
    signal?.removeEventListener("abort", stop);
  }
}

// A fetch function that is not the runtime's own: its abort and the end of its responses must be seen from above.
import { type End, endNow } from "../../call/end.ts";
import { drop } from "./drop.ts";

/** Settles at once when the signal is aborted, whether the function heeds it or not. */
export function interruptible(result: Promise<Response>, signal: AbortSignal | undefined): Promise<Response> {
  if (signal === undefined) return result;
  return new Promise((resolve, reject) => {
    // the signal's reason is what fetch itself rejects with, Error or not
    let aborted = false;
    const abort = (): void => {
      aborted = true;
      reject(signal.reason); // oxlint-disable-line typescript/prefer-promise-reject-errors
    };
    signal.addEventListener("abort", abort, { once: true });
    const settled = (): void => signal.removeEventListener("abort", abort);
    result.then(
      (response) => {
        settled();
        if (aborted) drop(response);
        else resolve(response);
      },
      (error: unknown) => {
        settled();
        reject(error); // oxlint-disable-line typescript/prefer-promise-reject-errors -- as it came
      },
    );
  });
}

const unread = new FinalizationRegistry<() => void>((release) => release());

/** The response, rebuilt so that `end` is told when its body has been read, cancelled or collected unread. */
export function watched(response: Response, end: End): Response {
  if (!(response instanceof Response) || response.body === null || response.bodyUsed) {
    endNow(end);
    return response;
  }
  const reader: ReadableStreamDefaultReader<Uint8Array> = response.body.getReader();
  const body = new ReadableStream<Uint8Array>(
    {
      pull: async (controller) => {
        try {
          const { done, value } = await reader.read();
          if (!done) return controller.enqueue(value);
          endNow(end);
          return controller.close();
        } catch (error) {
          endNow(end, error);
          return controller.error(error);
        }
      },
      cancel: async (reason) => {
        endNow(end);
        await reader.cancel(reason);
      },
    },
    { highWaterMark: 0 },
  );
  const { status, statusText, headers, url, redirected, type } = response;
  const rebuilt = new Response(body, { status, statusText, headers });
  Object.defineProperties(rebuilt, { url: { value: url }, redirected: { value: redirected }, type: { value: type } });
  unread.register(rebuilt, () => {
    endNow(end);
    void reader.cancel().catch(() => undefined);
  });
  return rebuilt;
}

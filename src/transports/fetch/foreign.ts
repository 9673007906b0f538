// A fetch function that is not the runtime's own: the end of its responses must be seen from above.
import { type End, endNow } from "../../call/end.ts";

const unread = new FinalizationRegistry<() => void>((release) => release());

/** The body of a node-fetch response: a Readable of node:stream. */
interface NodeBody {
  readonly errored?: unknown;
  once(event: "close", listener: () => void): unknown;
  destroy(): unknown;
}

export function nodeBody(response: Response): NodeBody | undefined {
  const body = response.body as unknown as Partial<NodeBody> | null; // the cast: a foreign fetch gives what it will
  return typeof body?.once === "function" && typeof body.destroy === "function" ? (body as NodeBody) : undefined;
}

/** The response, rebuilt so that `end` is told when its body has been read, cancelled or collected unread. */
export function watched(response: Response, end: End): Response {
  const stream = nodeBody(response);
  if (stream !== undefined) {
    stream.once("close", () => endNow(end, stream.errored ?? undefined));
    unread.register(response, () => endNow(end));
    return response;
  }
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

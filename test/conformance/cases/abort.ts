// How callers end a call: before, while and after, with every kind of reason.
import { type Case, streamOf } from "./case.ts";
import { failure, type Observed, settle, whole } from "../observe.ts";

/** How a promise is rejected, and whether with the very reason. */
async function rejection(promise: Promise<unknown>, reason: unknown): Promise<Observed> {
  try {
    await promise;
    return "not rejected";
  } catch (error) {
    return { same: error === reason, error: failure(error) };
  }
}

const REASONS: readonly (readonly [name: string, reason: unknown])[] = [
  ["no reason", undefined],
  ["an Error", new RangeError("mine")],
  ["a string", "a string"],
  ["null", null],
  ["an object", { why: "so" }],
];

const reasons: Case[] = REASONS.flatMap(([name, reason]): Case[] => [
  {
    name: `before, ${name}`,
    run: async ({ fetch, at }) => {
      const controller = new AbortController();
      controller.abort(reason);
      return rejection(fetch(at("/echo"), { signal: controller.signal }), controller.signal.reason);
    },
  },
  {
    name: `at once, ${name}`,
    unwatched: true,
    run: async ({ fetch, at }) => {
      const controller = new AbortController();
      const promise = fetch(at("/hang"), { signal: controller.signal });
      controller.abort(reason);
      return rejection(promise, controller.signal.reason);
    },
  },
  {
    name: `while the head is awaited, ${name}`,
    run: async ({ fetch, at, begun }) => {
      const controller = new AbortController();
      const promise = fetch(at("/hang"), { signal: controller.signal });
      await begun(1);
      controller.abort(reason);
      return rejection(promise, controller.signal.reason);
    },
  },
  {
    name: `while the body is read, ${name}`,
    run: async ({ fetch, at }) => {
      const controller = new AbortController();
      const response = await fetch(at("/hang-body"), { signal: controller.signal });
      const text = response.text();
      controller.abort(reason);
      return rejection(text, controller.signal.reason);
    },
  },
]);

const others: Case[] = [
  {
    name: "the signal of a Request",
    run: async ({ fetch, at, begun, kit }) => {
      const controller = new AbortController();
      const promise = fetch(new kit.Request(at("/hang"), { signal: controller.signal }));
      await begun(1);
      controller.abort(new RangeError("mine"));
      return rejection(promise, controller.signal.reason);
    },
  },
  {
    name: "the signal of a Request, aborted before",
    run: async ({ fetch, at, kit }) => {
      const signal = AbortSignal.abort(new RangeError("mine"));
      return rejection(fetch(new kit.Request(at("/hang"), { signal })), signal.reason);
    },
  },
  {
    name: "the signal of init comes before that of the Request",
    run: async ({ fetch, at, kit }) => {
      const request = new kit.Request(at("/large/3"), { signal: AbortSignal.abort() });
      return settle(async () => whole(await fetch(request, { signal: new AbortController().signal }), kit));
    },
  },
  {
    name: "signal null takes that of the Request away",
    run: async ({ fetch, at, kit }) => {
      const request = new kit.Request(at("/large/3"), { signal: AbortSignal.abort() });
      return settle(async () => whole(await fetch(request, { signal: null }), kit));
    },
  },
  {
    name: "a signal that is none",
    run: async ({ fetch, at, kit }) => settle(async () => whole(await fetch(at("/large/3"), { signal: {} }), kit)),
  },
  {
    name: "a signal that is a string",
    run: async ({ fetch, at, kit }) => settle(async () => whole(await fetch(at("/large/3"), { signal: "no" }), kit)),
  },
  {
    name: "AbortSignal.timeout",
    run: async ({ fetch, at }) => settle(() => fetch(at("/hang"), { signal: AbortSignal.timeout(20) })),
    unwatched: true,
  },
  {
    name: "AbortSignal.any",
    run: async ({ fetch, at, begun }) => {
      const controller = new AbortController();
      const promise = fetch(at("/hang"), { signal: AbortSignal.any([controller.signal, new AbortController().signal]) });
      await begun(1);
      controller.abort(new RangeError("mine"));
      return rejection(promise, controller.signal.reason);
    },
  },
  {
    name: "after the body has been read",
    run: async ({ fetch, at }) => {
      const controller = new AbortController();
      const response = await fetch(at("/large/3"), { signal: controller.signal });
      const text = await response.text();
      controller.abort();
      return [text, response.bodyUsed, response.status];
    },
  },
  {
    name: "after the head, body unread",
    run: async ({ fetch, at }) => {
      const controller = new AbortController();
      const response = await fetch(at("/hang-body"), { signal: controller.signal });
      controller.abort(new RangeError("mine"));
      return rejection(response.text(), controller.signal.reason);
    },
  },
  {
    name: "a reader is told",
    run: async ({ fetch, at }) => {
      const controller = new AbortController();
      const response = await fetch(at("/hang-body"), { signal: controller.signal });
      const reader = response.body?.getReader();
      await reader?.read();
      controller.abort(new RangeError("mine"));
      return [
        await rejection(Promise.resolve(reader?.read()), controller.signal.reason),
        await rejection(Promise.resolve(reader?.closed), controller.signal.reason),
      ];
    },
  },
  {
    name: "a clone is told",
    run: async ({ fetch, at }) => {
      const controller = new AbortController();
      const response = await fetch(at("/hang-body"), { signal: controller.signal });
      const clone = response.clone();
      const both = [response.text(), clone.text()];
      controller.abort(new RangeError("mine"));
      return Promise.all(both.map((text) => rejection(text, controller.signal.reason)));
    },
  },
  {
    name: "while a stream is sent: the caller is told",
    unwatched: true,
    run: async ({ fetch, at, begun }) => {
      const controller = new AbortController();
      const body = new ReadableStream<Uint8Array>({ start: (sink) => sink.enqueue(Buffer.from("first")) });
      const promise = fetch(at("/echo"), { method: "POST", body, duplex: "half", signal: controller.signal });
      await begun(1);
      controller.abort(new RangeError("mine"));
      return rejection(promise, controller.signal.reason);
    },
  },
  {
    name: "before, with a stream: its source is cancelled",
    run: async ({ fetch, at }) => {
      const signal = AbortSignal.abort(new RangeError("mine"));
      const { promise: cancelled, resolve } = Promise.withResolvers<unknown>();
      const body = new ReadableStream<Uint8Array>({ cancel: resolve });
      const seen = await rejection(fetch(at("/echo"), { method: "POST", body, duplex: "half", signal }), signal.reason);
      return [seen, (await cancelled) === signal.reason];
    },
  },
  {
    name: "one signal for many, aborted together",
    unwatched: true,
    run: async ({ fetch, at, begun }) => {
      const controller = new AbortController();
      const all = Array.from({ length: 12 }, () => fetch(at("/hang"), { signal: controller.signal }));
      await begun(12);
      controller.abort(new RangeError("mine"));
      return Promise.all(all.map((promise) => rejection(promise, controller.signal.reason)));
    },
  },
  {
    name: "while it goes from hop to hop",
    unwatched: true,
    run: async ({ fetch, at, begun }) => {
      const controller = new AbortController();
      const promise = fetch(at("/redirect/302?to=/hang"), { signal: controller.signal });
      await begun(2);
      controller.abort(new RangeError("mine"));
      return rejection(promise, controller.signal.reason);
    },
  },
  {
    name: "during an upload that is answered early",
    unwatched: true,
    run: async ({ fetch, at }) =>
      settle(async () => (await fetch(at("/status/404"), { method: "POST", body: streamOf("a", "b"), duplex: "half" })).status),
  },
];

export const abortCases: readonly Case[] = [...reasons, ...others].map((one) => ({ ...one, name: `abort: ${one.name}` }));

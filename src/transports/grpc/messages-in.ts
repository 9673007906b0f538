// Messages of calls that come in, as bytes: by the definitions of services where they are given, else as V8 clones them.
import { deserialize, serialize } from "node:v8";
import type { ServiceShape } from "./services.ts";

/** How the messages of one method become bytes, and answers messages again. */
export interface MessageForm {
  /** `undefined`: it cannot be said in bytes. */
  request(message: unknown): Uint8Array | undefined;
  /** `undefined`: it cannot be kept. */
  response(message: unknown): Uint8Array | undefined;
  again(bytes: Uint8Array): unknown;
}

/** What definitions for grpc-js have of a method: `@grpc/proto-loader`'s, ts-proto's, protoc's own. */
interface Described {
  readonly path?: unknown;
  readonly requestSerialize?: unknown;
  readonly responseSerialize?: unknown;
  readonly responseDeserialize?: unknown;
}

/** Forms by method: `payments.v1.Payments/Charge`. */
export function messageForms(services: readonly ServiceShape[]): (method: string) => MessageForm {
  const forms = new Map<string, MessageForm>();
  for (const method of services.flatMap((service) => Object.values(service) as readonly unknown[])) {
    if (typeof method !== "object" || method === null) continue;
    const { path, requestSerialize, responseSerialize, responseDeserialize } = method as Described; // the cast: only read
    if (typeof path !== "string" || !isFunction(requestSerialize) || !isFunction(responseSerialize) || !isFunction(responseDeserialize))
      continue;
    forms.set(path.replace(/^\//, ""), {
      request: (message) => requestSerialize(message) as Uint8Array, // the casts: that is what they are for
      response: (message) => responseSerialize(message) as Uint8Array,
      again: (bytes) => responseDeserialize(Buffer.from(bytes)),
    });
  }
  return (method) => forms.get(method) ?? cloned;
}

/**
 * What was decoded from the same bytes is cloned into the same bytes. A message of protoc's own generator is more than its data, so its answer can only be
 * made again by its definition.
 */
const cloned: MessageForm = {
  request: clone,
  response: (message) => (isProtoc(message) ? undefined : clone(message)),
  again: (bytes) => deserialize(bytes),
};

function clone(message: unknown): Uint8Array | undefined {
  try {
    return serialize(message);
  } catch {
    return undefined; // there is a function in it
  }
}

const isProtoc = (message: unknown): boolean => typeof message === "object" && message !== null && "serializeBinary" in message;

const isFunction = (value: unknown): value is (message: unknown) => unknown => typeof value === "function";

// Connect and Protobuf-ES: the one file that loads them, and their types without the generics of one method.
import {
  create,
  type DescMethod,
  type DescMethodStreaming,
  type DescMethodUnary,
  fromBinary,
  fromJson,
  type JsonValue,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import {
  Code,
  ConnectError,
  type ContextKey,
  type ContextValues,
  createContextKey,
  type StreamResponse,
  type Transport,
  type UnaryResponse,
} from "@connectrpc/connect";

export { Code, ConnectError, create, createContextKey, fromBinary, fromJson, toBinary };
export type { ContextKey, DescMethod, JsonValue, StreamResponse, Transport, UnaryResponse };

/** A message as callers give it, whole or in part. */
export type Input = MessageInitShape<DescMethod["input"]>;

export type Output = MessageShape<DescMethod["output"]>;

/** What a call gives: the response to a unary one, or the head of a stream. */
export type ConnectResponse = UnaryResponse | StreamResponse;

/** What the methods of a Transport are given. */
export interface Request {
  readonly method: DescMethod;
  readonly signal: AbortSignal | undefined;
  readonly timeoutMs: number | undefined;
  readonly header: ConstructorParameters<typeof Headers>[0];
  readonly contextValues: ContextValues | undefined;
}

// The casts: which kind a method is of goes with which of the two functions was called, and TypeScript does not know.

export function sendUnary(
  transport: Transport,
  { method, signal, timeoutMs, header, contextValues }: Request,
  input: Input,
): Promise<UnaryResponse> {
  return transport.unary(method as DescMethodUnary, signal, timeoutMs, header, input, contextValues);
}

export function sendStream(
  transport: Transport,
  { method, signal, timeoutMs, header, contextValues }: Request,
  input: AsyncIterable<Input>,
): Promise<StreamResponse> {
  return transport.stream(method as DescMethodStreaming, signal, timeoutMs, header, input, contextValues);
}

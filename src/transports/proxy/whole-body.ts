// The whole body of a request that has come in, read ahead of any attempt for its digest, within the bounds of one call and of all.
import type { Pool } from "../../call/messages.ts";
import type { Signal } from "../../call/signal.ts";
import type { Intake } from "./intake.ts";

export type WholeBody = Uint8Array | "too-long" | "no-room" | "streamed" | "taken" | "gone";

/** What comes before each message of an RPC: whether it is compressed, and its length. */
const FRAME_HEAD = 5;

/** Reads so many bytes at the most; what is read counts in the pool, as the caller says with `counted`. `rpc`: it must be one message. */
export function wholeBody(
  intake: Intake,
  { pool, counted }: { readonly pool: Pool; readonly counted: (bytes: number) => void },
  { most, rpc }: { readonly most: number; readonly rpc: boolean },
  signal: Signal | undefined,
): Promise<WholeBody> {
  const { promise, resolve } = Promise.withResolvers<WholeBody>();
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  let settled = false;
  const settle = (body: WholeBody): false => {
    settled = true;
    signal?.removeEventListener("abort", gone);
    resolve(body);
    return false;
  };
  const gone = (): void => void settle("gone");
  signal?.addEventListener("abort", gone);
  const gathered = intake.gather({
    chunk: (chunk) => {
      if (settled) return false;
      const size = chunk.byteLength;
      if (pool.bytes + size > pool.limit) return settle("no-room");
      pool.bytes += size;
      counted(size);
      chunks.push(chunk);
      bytes += size;
      if (bytes > most) return settle("too-long");
      return !rpc || bytes <= FRAME_HEAD || bytes <= framed(chunks) || settle("streamed");
    },
    end: () => settle(Buffer.concat(chunks)),
  });
  if (!gathered) settle("taken");
  return promise;
}

/** How long the first message is with its head. */
function framed(chunks: readonly Uint8Array[]): number {
  const [first] = chunks;
  const head = first !== undefined && first.byteLength >= FRAME_HEAD ? first : Buffer.concat(chunks);
  return FRAME_HEAD + Buffer.from(head.buffer, head.byteOffset, head.byteLength).readUInt32BE(1);
}

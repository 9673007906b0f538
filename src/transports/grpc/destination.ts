// Where an attempt goes: the channel of its caller, or one to another origin or to the address of an endpoint.
import type { Call } from "../../call/call.ts";
import { addressOf } from "./address.ts";
import type { ChannelInterface } from "./grpc-js.ts";
import type { RpcPayload } from "./payload.ts";

/** The channel of an attempt, and the authority where that is not the channel's own. */
export function channelFor(
  { origin, endpoint, authority, crossing }: Call,
  { line, host, authority: own }: RpcPayload,
): { channel: ChannelInterface; host: string | null | undefined } {
  if (crossing !== undefined)
    return { channel: line.over(crossing.to, authority ?? (origin === undefined ? own : new URL(origin).host)), host: undefined };
  if (origin === undefined && endpoint === undefined && authority === undefined) return { channel: line.real, host };
  const there = origin === undefined ? undefined : new URL(origin);
  const name = authority ?? there?.host ?? own;
  const to = endpoint?.url ?? there;
  return to === undefined
    ? { channel: line.real, host: name }
    : { channel: line.elsewhere(addressOf(to), name, endpoint), host: undefined };
}

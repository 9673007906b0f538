// Line: what all calls of one channel share.
import type { Address as Endpoint } from "../../call/address.ts";
import type { SidecarAddress } from "../../call/crossing.ts";
import type { Pool } from "../../call/messages.ts";
import type { Door } from "../door.ts";
import type { ChannelInterface } from "./grpc-js.ts";

/** A call that waits, in a queue or between attempts, so that nothing of grpc-js's would end it. */
export interface Waiting {
  channelClosed(): void;
}

export interface Line {
  readonly door: Door;
  readonly real: ChannelInterface;
  /** What the calls of the client keep to send it again. */
  readonly pool: Pool;
  readonly waiting: Set<Waiting>;
  /** Where its calls go when nothing says otherwise; `undefined`: what a sidecar could not be told. */
  readonly origin: string | undefined;
  /** What its connections have of TLS and a sidecar's have not, so that no call can cross; `undefined`: nothing. */
  readonly ownTls: string | undefined;
  /** The channel takes no more attempts. */
  closed: boolean;
  /**
   * The channel to another address (`10.0.0.1:50051`), for a layer that sends a call elsewhere; `authority`: what the server there is called. That of an
   * endpoint is closed when it has left its route.
   */
  elsewhere(address: string, authority: string, endpoint: Endpoint | undefined): ChannelInterface;
  /** The channel to a sidecar, for calls to the server of that name; closed when the sidecar has gone. */
  over(sidecar: SidecarAddress, authority: string): ChannelInterface;
}

/** Nothing of grpc-js's stands for a call now: its deadline and the closing of the channel are ours to watch. Gives what stops that. */
export function awaiting({ waiting, door }: Line, call: Waiting, endsAt: number, expired: () => void): () => void {
  const { now, timers } = door.env;
  const timer = endsAt === Number.POSITIVE_INFINITY ? undefined : timers.setTimer(expired, Math.max(0, endsAt - now()));
  waiting.add(call);
  return () => {
    waiting.delete(call);
    if (timer !== undefined) timers.clearTimer(timer);
  };
}

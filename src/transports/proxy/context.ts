// Context: what all exchanges of one proxy share, and what it is told when it is made.
import type { Pool } from "../../call/messages.ts";
import type { Connection, Destination, Exchange, Upstreams } from "../../wire/wire.ts";
import type { Door } from "../door.ts";
import type { Direction } from "../../policy/matching.ts";
import type { Ended, Logged } from "./entry.ts";

export interface ProxySettings {
  readonly door: Door;
  readonly upstreams: Upstreams;
  /** Calls of the application to others, or calls of others to the application. */
  readonly direction: Direction;
  /** Inbound: where everything goes. */
  readonly app?: Pick<Destination, "origin" | "socketPath">;
  /** Outbound: calls that no policy matches go straight through, in place of a 404. */
  readonly allowAny: boolean;
  /** Whose orders (`x-envoy-*`) and deadlines count. */
  readonly trusts: (connection: Connection) => boolean;
  /** What the proxy is called in `Via` and `Proxy-Status`: a token, and another for each process, since loops are told by it. */
  readonly via: string;
  /** No new calls are wanted: whoever has another way is sent there. */
  readonly draining: () => boolean;
  /** Told of every exchange that is over; `entryOf` makes of both what an access log says. */
  readonly onOver?: (logged: Logged, ended: Ended) => void;
}

export interface Context extends ProxySettings {
  readonly pool: Pool;
  /** A line of `Via` for each version that a message came in. */
  readonly viaOf: Readonly<Record<Exchange["version"], string>>;
}

// Upstreams: sends each request by the protocol of its destination.
import { newDeadlines, type WireClock } from "./deadlines.ts";
import { newDial, type UpstreamTls } from "./dial.ts";
import { newHttp1Upstreams } from "./http1/upstreams.ts";
import { newHttp2Client } from "./http2/client.ts";
import { defaultLimits, type Limits } from "./limits.ts";
import { newNegotiation } from "./negotiated.ts";
import type { Forbidden, Upstreams } from "./wire.ts";

export interface UpstreamsOptions {
  readonly limits?: Partial<Limits> | undefined;
  readonly tls?: UpstreamTls | undefined;
  readonly forbidden?: Forbidden | undefined;
  readonly clock?: WireClock | undefined;
}

export function createUpstreams({ limits: some, tls, forbidden, clock }: UpstreamsOptions = {}): Upstreams {
  const limits = { ...defaultLimits, ...some };
  const deadlines = newDeadlines(clock);
  const { dial, open } = newNegotiation(newDial({ tls, forbidden, connectMs: limits.connectMs }), deadlines);
  const http1 = newHttp1Upstreams(dial, limits, deadlines);
  const http2 = newHttp2Client(dial, limits, deadlines);
  const openSecure = open(http1, http2);
  return {
    open: (to, head, ended, receiver) => {
      if (to.tunnel === true) return http1.open(to, head, ended, receiver);
      if (to.origin.protocol === "https:") return openSecure(to, head, ended, receiver);
      return (to.version === "2" ? http2 : http1).open(to, head, ended, receiver);
    },
    close: async () => {
      await Promise.all([http1.close(), http2.close()]);
    },
  };
}

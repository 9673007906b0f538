// Negotiated: requests over TLS, by the protocol that the two ends agree on (ALPN); what was agreed with an upstream is remembered.
import type { Deadlines } from "./deadlines.ts";
import { newDeferred } from "./deferred.ts";
import { type Dial, type Dialled, type Dialling, ForbiddenAddress } from "./dial.ts";
import type { Stream, Upstreams } from "./wire.ts";

/** For how long an upstream is taken at its word, and how many are. */
const AGREED_MS = 600_000;
const AGREED_MAX = 4_096;

export interface Negotiation {
  /** Makes connections, the one included over which it was negotiated. What the pools of both protocols are to use. */
  readonly dial: Dial;
  /** Opens what goes over TLS. */
  readonly open: (http1: Upstreams, http2: Upstreams) => Upstreams["open"];
}

interface Agreement {
  readonly http2: boolean;
  readonly until: number;
}

type Opened = Parameters<Upstreams["open"]>;

const keyOf = ({ origin, socketPath }: Pick<Dialling, "origin" | "socketPath">, name: string): string =>
  `${socketPath ?? ""} ${origin.host} ${name}`;

export function newNegotiation(dial: Dial, deadlines: Deadlines): Negotiation {
  const agreed = new Map<string, Agreement>();
  /** Connections over which it was just negotiated: each is taken by the pool of its protocol at once. */
  const fresh = new Map<string, Dialled>();

  function remember(key: string, http2: boolean): void {
    agreed.delete(key);
    for (const oldest of agreed.keys()) {
      if (agreed.size < AGREED_MAX) break;
      agreed.delete(oldest);
    }
    agreed.set(key, { http2, until: deadlines.after(AGREED_MS) });
  }

  /** Whether it is HTTP/2, where that is known. */
  function known(key: string): boolean | undefined {
    const agreement = agreed.get(key);
    return agreement !== undefined && agreement.until > deadlines.after(0) ? agreement.http2 : undefined;
  }

  /** For HTTP/2 over TLS: what is not it, or fails, is negotiated anew by the next request. */
  async function dialHttp2(to: Dialling, key: string): Promise<Dialled> {
    try {
      const dialled = await dial(to);
      if (dialled.protocol === "h2") return dialled;
      dialled.socket.on("error", () => undefined).destroy();
      throw new Error("it does not agree on HTTP/2 any more");
    } catch (error) {
      agreed.delete(key);
      throw error;
    }
  }

  return {
    dial: (to) => {
      if (to.origin.protocol !== "https:") return dial(to);
      const key = keyOf(to, to.name);
      const made = fresh.get(key);
      fresh.delete(key);
      if (made !== undefined) return Promise.resolve(made);
      return to.protocols.includes("h2") ? dialHttp2(to, key) : dial(to);
    },
    open: (http1, http2) => {
      /** What waits for a negotiation that is under way. */
      const waiting = new Map<string, Set<(by: Upstreams | undefined, error?: unknown) => void>>();

      function negotiate(key: string, { origin, socketPath }: Opened[0], name: string): void {
        const settle = (by: Upstreams | undefined, error?: unknown): void => {
          const all = waiting.get(key) ?? [];
          waiting.delete(key);
          for (const go of all) go(by, error);
        };
        dial({ origin, socketPath, name, protocols: ["h2", "http/1.1"], halfOpen: true }).then(
          (dialled) => {
            const isHttp2 = dialled.protocol === "h2";
            remember(key, isHttp2);
            fresh.set(key, dialled);
            settle(isHttp2 ? http2 : http1);
            if (fresh.delete(key)) dialled.socket.on("error", () => undefined).destroy(); // nobody waits any more
          },
          (error: unknown) => settle(undefined, error),
        );
      }

      return (to, head, ended, receiver): Stream => {
        // RFC 8441 is not something to hope for
        if (head.upgrade !== undefined) return http1.open(to, head, ended, receiver);
        const key = keyOf(to, head.authority);
        const isHttp2 = known(key);
        if (isHttp2 !== undefined) return (isHttp2 ? http2 : http1).open(to, head, ended, receiver);
        const go = (by: Upstreams | undefined, error?: unknown): void => {
          if (by === undefined) receiver.broken({ why: error instanceof ForbiddenAddress ? "forbidden" : "connect", cause: error });
          else deferred.goOver(by.open(to, head, ended, receiver));
        };
        const deferred = newDeferred(() => waiting.get(key)?.delete(go));
        const others = waiting.get(key);
        if (others !== undefined) others.add(go);
        else {
          waiting.set(key, new Set([go]));
          negotiate(key, to, head.authority);
        }
        return deferred;
      };
    },
  };
}

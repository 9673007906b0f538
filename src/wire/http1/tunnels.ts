// Tunnels: plain connections to where a CONNECT leads.
import type { Deadlines } from "../deadlines.ts";
import { ForbiddenAddress, type Dial } from "../dial.ts";
import type { Limits } from "../limits.ts";
import type { Destination } from "../wire.ts";
import type { Attempt } from "./attempt.ts";
import { newHttp1Client } from "./client.ts";
import type { Http1Owner } from "./member.ts";

export interface Tunnels {
  open(to: Destination, attempt: Attempt): void;
}

export function newTunnels(dial: Dial, limits: Limits, deadlines: Deadlines): Tunnels {
  return {
    open({ origin, socketPath }, attempt) {
      // TLS within it is the caller's; of `https` no more is left than its port.
      const plain = new URL(`http://${origin.hostname}:${origin.port === "" && origin.protocol === "https:" ? "443" : origin.port}`);
      dial({ origin: plain, socketPath, name: "", protocols: [], halfOpen: true }).then(
        ({ socket }) => {
          const owner: Http1Owner = { limits, deadlines, idle: () => undefined, gone: () => undefined };
          if (attempt.over) socket.destroy();
          else newHttp1Client(socket, owner).tunnel(attempt);
        },
        (cause: unknown) => {
          if (attempt.over) return;
          attempt.over = true;
          attempt.receiver.broken({ why: cause instanceof ForbiddenAddress ? "forbidden" : "connect", cause });
        },
      );
    },
  };
}

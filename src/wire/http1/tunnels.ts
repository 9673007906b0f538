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
  /** Resolves when the last of them is gone. */
  close(): Promise<void>;
}

export function newTunnels(dial: Dial, limits: Limits, deadlines: Deadlines): Tunnels {
  let open = 0;
  let closed: (() => void) | undefined;

  function left(): void {
    if (--open === 0) closed?.();
  }

  return {
    open({ origin, socketPath }, attempt) {
      open++;
      // TLS within it is the caller's; of `https` no more is left than its port.
      const plain = new URL(`http://${origin.hostname}:${origin.port === "" && origin.protocol === "https:" ? "443" : origin.port}`);
      dial({ origin: plain, socketPath, name: "", protocols: [], halfOpen: true }).then(
        ({ socket }) => {
          socket.once("close", left);
          const owner: Http1Owner = { limits, deadlines, idle: () => undefined, gone: () => undefined };
          if (attempt.over) socket.destroy();
          else newHttp1Client(socket, owner).tunnel(attempt);
        },
        (cause: unknown) => {
          left();
          if (attempt.over) return;
          attempt.over = true;
          attempt.receiver.broken({ why: cause instanceof ForbiddenAddress ? "forbidden" : "connect", cause });
        },
      );
    },
    close() {
      const { promise, resolve } = Promise.withResolvers<void>();
      closed = resolve;
      if (open === 0) resolve();
      return promise;
    },
  };
}

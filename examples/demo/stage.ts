// The stage: starts the peers of a scene in a process of their own, and takes them down.
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import type { Answer, Order, Protocol } from "./peer-process.ts";
import type { PeerKind } from "./peers.ts";

export interface Stage {
  /** Where the peers listen, one for each lane. */
  readonly addresses: readonly string[];
  /** The outage begins or ends. */
  setDown(down: boolean): void;
  /** How many requests each peer has seen. */
  requests(): Promise<readonly number[]>;
  close(): Promise<void>;
}

export async function openStage(kind: PeerKind, protocol: Protocol): Promise<Stage> {
  const child = fork(fileURLToPath(new URL("peer-process.ts", import.meta.url)), [kind, protocol], {
    stdio: ["ignore", "inherit", "inherit", "ipc"],
  });
  const exit = once(child, "exit");
  const order = (what: Order): void => void (child.connected && child.send(what));
  const first = await heard(child, exit);
  return {
    addresses: "ports" in first ? first.ports.map((port) => `127.0.0.1:${port}`) : [],
    setDown: (down) => order(down ? "down" : "up"),
    requests: async () => {
      const answer = heard(child, exit);
      order("count");
      const counted = await answer;
      return "requests" in counted ? counted.requests : [];
    },
    close: async () => {
      if (child.connected) child.disconnect(); // it ends itself then, as it would if this process were gone
      await exit;
    },
  };
}

/** The next answer of the peers' process; rejects when it has ended instead. */
async function heard(child: ChildProcess, exit: Promise<unknown[]>): Promise<Answer> {
  const gone = exit.then(([code]) => {
    throw new Error(`the process of the peers has ended with ${String(code)}`);
  });
  const [answer] = (await Promise.race([once(child, "message"), gone])) as [Answer]; // the cast: what that process sends
  return answer;
}

// Leaving: tells when whoever asked has gone, also while their request waits behind others on the same connection (pipelining), of which Node says nothing.
import type { ServerResponse } from "node:http";
import type { Socket } from "node:net";

/** One listener for each connection, whatever number of its requests wait. */
const waiting = new WeakMap<Socket, Set<() => void>>();

/** Calls `closed` once: when the response is over, sent or not. */
export function whenClosed(response: ServerResponse, closed: () => void): void {
  const { socket } = response.req;
  if (socket.destroyed) return process.nextTick(closed);
  if (response.socket !== null) return void response.once("close", closed);
  const calls = waiting.get(socket) ?? listened(socket);
  const once = (): void => {
    if (calls.delete(once)) closed();
  };
  calls.add(once);
  response.once("close", once);
}

function listened(socket: Socket): Set<() => void> {
  const calls = new Set<() => void>();
  waiting.set(socket, calls);
  socket.once("close", () => {
    for (const call of calls) call();
  });
  return calls;
}

// The dispatcher that brings requests to a sidecar: an Agent of the undici that fetch itself uses, with connections of its own.
import { whenLeft } from "../../call/address.ts";
import type { SidecarAddress } from "../../call/crossing.ts";
import type { Dispatcher } from "./dispatcher.ts";

type AgentClass = new (options: { readonly connect?: { readonly socketPath: string } }) => Dispatcher & { close(): Promise<void> };

const agents = new WeakMap<SidecarAddress, Map<unknown, Dispatcher>>();

/**
 * `like`: the dispatchers that this generation of fetch could use; of the first that is an Agent another one is made, since no undici is imported. A proxy or
 * another stranger in the place of undici's own is passed over; `undefined`: there is no Agent.
 */
export function agentFor(to: SidecarAddress, like: readonly (Dispatcher | undefined)[]): Dispatcher | undefined {
  const made = like.find((one) => one?.constructor.name === "Agent")?.constructor as AgentClass | undefined; // the cast: undici's Agent is made so
  if (made === undefined) return undefined;
  const known = agents.get(to) ?? new Map<unknown, Dispatcher>();
  agents.set(to, known);
  const found = known.get(made);
  if (found !== undefined) return found;
  const agent = new made(to.socketPath === undefined ? {} : { connect: { socketPath: to.socketPath } });
  known.set(made, agent);
  whenLeft(to, () => {
    known.delete(made);
    void agent.close().catch(() => undefined); // what is under way ends as it would
  });
  return agent;
}

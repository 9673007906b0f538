// The dispatcher that brings requests to a sidecar: an Agent of the undici that fetch itself uses, with connections of its own.
import { whenLeft } from "../../call/address.ts";
import type { SidecarAddress } from "../../call/crossing.ts";
import type { Dispatcher } from "./dispatcher.ts";

type AgentClass = new (options: { readonly connect?: { readonly socketPath: string } }) => Dispatcher & { close(): Promise<void> };

const agents = new WeakMap<SidecarAddress, Map<unknown, Dispatcher>>();

const isAgent = (one: object): boolean => one.constructor.name === "Agent";

/** What a dispatcher is made of: a proxy's has an Agent of its own in it. */
const withinOf = (one: object): readonly object[] =>
  Object.getOwnPropertySymbols(one)
    .map((key) => (one as Record<symbol, unknown>)[key]) // the cast: any object can be asked
    .filter((inner): inner is object => typeof inner === "object" && inner !== null && typeof inner.constructor === "function");

/** Sends what is for http to the proxy that the environment names. */
export const isEnvProxy = (one: Dispatcher): boolean => one.constructor.name === "EnvHttpProxyAgent";

/**
 * `like`: the dispatchers that this generation of fetch could use; of the first Agent among them, or in them, another one is made, since no undici is imported.
 * `undefined`: there is none.
 */
export function agentFor(to: SidecarAddress, like: readonly (Dispatcher | undefined)[]): Dispatcher | undefined {
  const made = like.flatMap((one) => (one === undefined ? [] : [one, ...withinOf(one)])).find(isAgent)?.constructor as
    | AgentClass
    | undefined; // the cast: undici's Agent is made so
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

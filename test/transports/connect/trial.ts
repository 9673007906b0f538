// One client under a policy, one scripted server: what most tests of Connect begin with.
import type { TestContext } from "node:test";
import { premeshTransport, type PremeshTransportOptions } from "../../../src/connect.ts";
import { type Client, type ClientOptions, createClient, definePolicy, type LayerDefinition } from "../../../src/index.ts";
import { type KindsServer, openKinds, type Step, wires } from "./server.ts";
import { type KindsClient, kindsClient, SERVICE } from "./service.ts";

export interface Trial {
  readonly client: Client;
  readonly kinds: KindsClient;
  readonly server: KindsServer;
}

export interface TrialOptions {
  readonly wire?: string;
  readonly client?: Partial<ClientOptions>;
  readonly transport?: PremeshTransportOptions;
}

/** All methods may be retried, at once, unless the layers say otherwise. */
export async function openTrial(
  t: TestContext,
  layers: readonly LayerDefinition[],
  script: readonly Step[] = [],
  { wire = "gRPC", client: options = {}, transport: given = {} }: TrialOptions = {},
): Promise<Trial> {
  const chosen = wires[wire];
  if (chosen === undefined) throw new Error(`no wire ${wire}`);
  const server = await openKinds(t, chosen.httpVersion, script);
  const client = createClient({ policies: [definePolicy({ name: "kinds", match: [{ service: SERVICE }], layers })], ...options });
  const transport = premeshTransport(client, chosen.open(server.baseUrl), { baseUrl: server.baseUrl, ...given });
  return { client, kinds: kindsClient(transport), server };
}

// One side of the fetch bench: bare `fetch`, or `client.fetch`.
import { createClient } from "../../src/index.ts";
import { serveRounds } from "./load.ts";
import { sevenLayers } from "./policy.ts";

const fetches: Readonly<Record<string, () => (url: string) => Promise<Response>>> = {
  bare: () => fetch,
  again: () => fetch,
  unmatched: () => createClient({ policies: [] }).fetch,
  ours: () => createClient({ policies: [sevenLayers] }).fetch,
};

const [side = "", url = ""] = process.argv.slice(2);
const send = (fetches[side] ?? (() => fetch))();

serveRounds({ request: async () => (await send(url)).arrayBuffer() });

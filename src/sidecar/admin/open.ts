// openAdmin: an admin listener, or with no commands to give a health listener.
import { bind } from "../bind.ts";
import { adminRoutes, type Commands, healthRoutes, type Shown } from "./routes.ts";
import { adminServer } from "./server.ts";

export interface OpenAdmin {
  /** As it came to be: with the port that was given for port 0. */
  readonly address: string;
  /** Ends it; answers that are on their way go out. */
  readonly close: () => Promise<void>;
}

/** How long whoever has asked may take to read the answer, in milliseconds. */
const LINGER_MS = 200;

export async function openAdmin(address: string, shown: Shown, commands: Commands | undefined): Promise<OpenAdmin> {
  const routes = commands === undefined ? healthRoutes(shown) : adminRoutes(shown, commands);
  const server = adminServer(routes, { guarded: commands !== undefined });
  const bound = await bind(server, address);
  return {
    address: bound,
    close: () =>
      new Promise((resolve) => {
        const late = setTimeout(() => server.closeAllConnections(), LINGER_MS);
        server.close(() => {
          clearTimeout(late);
          resolve();
        });
        server.closeIdleConnections();
      }),
  };
}

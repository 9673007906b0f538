// openAdmin: an admin listener, or with no commands to give a health listener.
import { adminRoutes, type Commands, healthRoutes, type Shown } from "./routes.ts";
import { listenForAdmin } from "./server.ts";

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
  const listener = await listenForAdmin(address, routes, { guarded: commands !== undefined });
  return {
    address: listener.address,
    close: async () => {
      const late = setTimeout(() => listener.destroy(), listener.count().exchanges === 0 ? 0 : LINGER_MS);
      await listener.drain();
      clearTimeout(late);
    },
  };
}

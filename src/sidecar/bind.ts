// bind: lets the server of an admin listener listen.
import type { Server } from "node:net";
import { addressOf, clearStale, listenAtPath, parseAddress } from "../wire/address.ts";

/** The socket of an admin listener is its owner's alone. */
const MODE = 0o600;

/** Gives the address as it came to be: with the port that was given for port 0. */
export async function bind(server: Server, text: string): Promise<string> {
  const address = parseAddress(text);
  if ("path" in address) await clearStale(address.path);
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject).once("listening", () => {
      server.removeListener("error", reject);
      resolve();
    });
    if ("path" in address) listenAtPath(server, address.path, MODE);
    else server.listen(address);
  });
  return addressOf(server);
}

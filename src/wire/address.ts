// Address: where a listener listens, as text: `127.0.0.1:15001`, `[::1]:0`, `unix:/run/premesh.sock`.
import { chmodSync, lstatSync, unlinkSync } from "node:fs";
import { connect, type Server } from "node:net";

export type Address = { readonly path: string } | { readonly host: string; readonly port: number };

/** Reads an address. Throws a TypeError that says what it should be. */
export function parseAddress(text: string): Address {
  if (text.startsWith("unix:")) {
    const path = text.slice("unix:".length);
    if (!path.startsWith("/"))
      throw new TypeError(`Address ${JSON.stringify(text)}: write the socket's whole path, as in "unix:/run/premesh.sock"`);
    return { path };
  }
  const match = /^(?:\[([0-9a-f:.]+)\]|([^\s:[\]/@]+)):(\d{1,5})$/i.exec(text);
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3]);
  if (host === undefined || port > 65_535)
    throw new TypeError(`Address ${JSON.stringify(text)}: write "127.0.0.1:15001", "[::1]:15001" or "unix:/run/premesh.sock"`);
  return { host, port };
}

/** The text of where a server listens. */
export function addressOf(server: Server): string {
  const address = server.address();
  if (address === null) return "";
  if (typeof address === "string") return `unix:${address}`;
  return address.family === "IPv6" ? `[${address.address}]:${address.port}` : `${address.address}:${address.port}`;
}

/** Whether somebody answers at a socket's path. */
function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", (error: NodeJS.ErrnoException) => resolve(error.code !== "ECONNREFUSED"));
  });
}

/** Takes away what a dead process has left at a socket's path. Whatever is not a socket that nobody answers at stays, and is an error; links are not followed. */
export async function clearStale(path: string): Promise<void> {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined) return;
  const busy = (what: string): Error => Object.assign(new Error(`unix:${path}: ${what}`), { code: "EADDRINUSE" });
  if (!found.isSocket())
    throw busy(found.isSymbolicLink() ? "is a symbolic link, which is not followed; remove it" : "is a file that is no socket");
  if (await answers(path)) throw busy("somebody listens there");
  unlinkSync(path);
}

/** Lets a server listen at a path, with this mode from the first moment on. */
export function listenAtPath(server: Server, path: string, mode: number): void {
  // bind() happens within listen(), so that the mask holds for it alone. A worker has no mask of its own: there the mode comes a moment later.
  let before: number | undefined;
  try {
    before = process.umask(0o777 & ~mode);
  } catch {
    server.once("listening", () => chmodSync(path, mode));
  }
  try {
    server.listen(path);
  } finally {
    if (before !== undefined) process.umask(before);
  }
}

// Addresses of listeners: which of them only this machine reaches, and why one cannot be listened on.
import { BlockList, isIP } from "node:net";
import { type Address, parseAddress } from "../wire/address.ts";

const loopback = new BlockList();
loopback.addSubnet("127.0.0.0", 8, "ipv4");
loopback.addAddress("::1", "ipv6");

/** Only this machine reaches it. */
export function isLocal(address: Address): boolean {
  if ("path" in address || address.host === "localhost") return true;
  const family = isIP(address.host);
  return family !== 0 && loopback.check(address.host, family === 6 ? "ipv6" : "ipv4");
}

/** What is wrong with the text of an address; `undefined`: nothing. */
export function addressProblem(text: string): string | undefined {
  try {
    parseAddress(text);
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** What kept somebody from listening, as a sentence for whoever starts the shim. */
export function whyNot(error: unknown, text: string, option: string): string {
  const { code, message }: { code?: unknown; message: string } = error instanceof Error ? error : { message: String(error) };
  if (code === "EADDRINUSE" && text.startsWith("unix:")) return message.includes("unix:") ? message : `${text} is in use`;
  if (code === "EADDRINUSE") return `${text} is in use: end what listens there, or take another address with --${option}`;
  if (code === "EACCES" || code === "EPERM") return `${text}: this user may not listen there; take another address with --${option}`;
  if (code === "EADDRNOTAVAIL" || code === "ENOTFOUND") return `${text} is no address of this machine; take another with --${option}`;
  if (code === "ENOENT") return `${text}: its folder is not there`;
  return `${text} cannot be listened on: ${message}`;
}

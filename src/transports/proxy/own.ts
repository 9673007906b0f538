// Our own addresses: where we listen ourselves, so that nobody can have us call ourselves (loops, and the admin port through the back door).
import { isIPv6 } from "node:net";
import { networkInterfaces } from "node:os";
import type { Forbidden } from "../../wire/wire.ts";

/**
 * Tells our own listeners from other addresses. `listening` gives them as {@link Listener} does: `127.0.0.1:15001`, `[::]:15006`, `unix:/run/premesh.sock`;
 * it is asked each time, so that they may come later. Given to the upstreams, which ask it with what a name was resolved to.
 */
export function newOwnAddresses(listening: () => Iterable<string>): Forbidden {
  return (address, port) => {
    for (const own of listening()) if (isThere(own, address, port)) return true;
    return false;
  };
}

function isThere(own: string, address: string, port: number): boolean {
  if (own.startsWith("unix:")) return port === 0 && address === own.slice(5);
  const [, host = "", ownPort] = /^\[?(.*?)\]?:(\d+)$/.exec(own) ?? [];
  if (port !== Number(ownPort)) return false;
  const there = plain(address);
  const here = plain(host);
  if (here === there) return true;
  if (isUnspecified(there)) return isUnspecified(here) || isLoopback(here); // whoever connects to it reaches loopback
  return isUnspecified(here) && (isLoopback(there) || isOfThisMachine(there));
}

/** In one spelling; an IPv4 address inside IPv6 as what it is. */
function plain(address: string): string {
  if (address === "localhost") return "127.0.0.1";
  if (!isIPv6(address)) return address;
  const { hostname } = new URL(`http://[${address.replace(/%.*$/, "")}]`);
  const mapped = /^\[::ffff:([\da-f]+):([\da-f]+)\]$/.exec(hostname);
  if (mapped === null) return hostname.slice(1, -1);
  const [high, low] = [Number.parseInt(mapped[1] ?? "", 16), Number.parseInt(mapped[2] ?? "", 16)];
  return `${high >> 8}.${high & 255}.${low >> 8}.${low & 255}`;
}

const isUnspecified = (address: string): boolean => address === "0.0.0.0" || address === "::";

const isLoopback = (address: string): boolean => address.startsWith("127.") || address === "::1";

const isOfThisMachine = (address: string): boolean =>
  Object.values(networkInterfaces()).some((ones) => ones?.some((one) => plain(one.address) === address) === true);

// The app behind an inbound listener, as a destination.
import { parseAddress } from "../wire/address.ts";
import type { Destination } from "../wire/wire.ts";

/** `text` is an address as those to listen on are. */
export function destinationOf(text: string): Pick<Destination, "origin" | "socketPath"> {
  const address = parseAddress(text);
  return "path" in address ? { origin: new URL("http://localhost"), socketPath: address.path } : { origin: new URL(`http://${text}`) };
}

// Asked: what an exchange asks for, as the proxy has made it out.
import type { FarCall } from "../../seam/call-field.ts";
import type { Destination } from "../../wire/wire.ts";
import type { Ruled } from "../door.ts";
import type { Request } from "./request.ts";

export interface Asked {
  readonly request: Request;
  /** What layers keep state for. */
  readonly target: string;
  readonly to: Destination;
  /** `undefined`: it goes straight through. */
  readonly ruled: Ruled | undefined;
  /** The client's orders and deadlines count. */
  readonly trusted: boolean;
  /** It came over a seam. */
  readonly far?: FarCall;
}

// What a call is asked for with, as the channel has made it out.
import type { Ruled } from "../door.ts";
import type { Called } from "./address.ts";
import type { Deadline, ParentCall } from "./grpc-js.ts";
import type { MethodFacts } from "./services.ts";

export interface Asked {
  readonly ruled: Ruled;
  readonly called: Called;
  readonly method: string;
  readonly facts: MethodFacts | undefined;
  readonly path: string;
  readonly deadline: Deadline;
  readonly host: string | null | undefined;
  readonly parent: ParentCall;
  readonly propagate: number;
}

// The parent of a call: the call that a server is answering meanwhile, whose deadline and cancellation are passed on.
import { type Deadline, type ParentCall, Propagate } from "./grpc-js.ts";

const ms = (deadline: Deadline): number => (typeof deadline === "number" ? deadline : deadline.getTime());

/** The longest time that a Node timer waits. grpc-js, too, takes what is longer for no deadline. */
const LONGEST_MS = 2_147_483_647;

export function millisecondsUntil(deadline: Deadline): number {
  const left = ms(deadline) - Date.now();
  return left > LONGEST_MS ? Number.POSITIVE_INFINITY : left;
}

/** The deadline, or the parent's if that is earlier. `propagate`: the flags of `grpc.propagate`. */
export function withParents(deadline: Deadline, parent: ParentCall, propagate: number): Deadline {
  if (parent === null || (propagate & Propagate.DEADLINE) === 0) return deadline;
  const inherited = parent.getDeadline();
  return ms(inherited) < ms(deadline) ? inherited : deadline;
}

/** Calls `cancelled` when the parent is cancelled, perhaps at once; gives what stops that. */
export function followParent(parent: ParentCall, propagate: number, cancelled: () => void): (() => void) | undefined {
  if (parent === null || (propagate & Propagate.CANCELLATION) === 0) return undefined;
  if (parent.cancelled) {
    cancelled();
    return undefined;
  }
  parent.once("cancelled", cancelled);
  return () => void parent.removeListener("cancelled", cancelled);
}

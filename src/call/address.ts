// Address: one place that calls can be sent to, in place of whatever the name of their target stands for.

/** One address that calls can be sent to, in place of whatever the name of their target stands for. */
export interface Address {
  /** Its origin: `http://10.0.0.1:8080`. */
  readonly key: string;
  readonly url: URL;
  /** What is to be done when it has left and has no attempt under way: transports let go there of what they keep for it. */
  leaving: Set<() => void> | undefined;
}

/** Does something when an address has left its route. Gives the function that takes that back. */
export function whenLeft(address: Address, act: () => void): () => void {
  const acts = (address.leaving ??= new Set());
  acts.add(act);
  return () => void acts.delete(act);
}

/** An address has left, and nothing is under way to it. */
export function hasLeft(address: Address): void {
  const { leaving } = address;
  address.leaving = undefined;
  for (const act of leaving ?? []) act();
}

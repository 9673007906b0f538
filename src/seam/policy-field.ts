// The field `premesh-policy`: which policy a call is under, and in which revision: `payments;rev="3f1c9a0be47d2215"`. With `ran` all its layers have run.
import { parseItem } from "./read.ts";
import { type BareItem, textItem, textOf } from "./structured.ts";
import { writeItem } from "./write.ts";

export interface NamedPolicy {
  readonly policy: string;
  readonly revision: string;
  /** All layers have run already: the call came through the sidecar as through any proxy. */
  readonly ran?: true;
}

export function encodePolicy({ policy, revision, ran }: NamedPolicy): string {
  const parameters = new Map<string, BareItem>([["rev", revision]]);
  if (ran === true) parameters.set("ran", true);
  return writeItem({ value: textItem(policy), parameters });
}

/** `undefined`: it is malformed. */
export function decodePolicy(field: string): NamedPolicy | undefined {
  const item = parseItem(field);
  const policy = textOf(item);
  const revision = item?.parameters.get("rev");
  if (policy === undefined || typeof revision !== "string") return undefined;
  return item?.parameters.get("ran") === true ? { policy, revision, ran: true } : { policy, revision };
}

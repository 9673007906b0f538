// The field `premesh-policy`: which policy a call is under, and in which revision: `payments;rev="3f1c9a0be47d2215"`.
import { parseItem } from "./read.ts";
import { textItem, textOf } from "./structured.ts";
import { writeItem } from "./write.ts";

export interface NamedPolicy {
  readonly policy: string;
  readonly revision: string;
}

export function encodePolicy({ policy, revision }: NamedPolicy): string {
  return writeItem({ value: textItem(policy), parameters: new Map([["rev", revision]]) });
}

/** `undefined`: it is malformed. */
export function decodePolicy(field: string): NamedPolicy | undefined {
  const item = parseItem(field);
  const policy = textOf(item);
  const revision = item?.parameters.get("rev");
  return policy === undefined || typeof revision !== "string" ? undefined : { policy, revision };
}

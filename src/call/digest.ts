// Digest: what stands for bytes and texts that are too long to keep, or nobody's business.
import { hash } from "node:crypto";

/** SHA-256 in base64url; all at once, which takes a third of what a stream of Node's takes. */
export function digestOf(data: string | Uint8Array): string {
  return hash("sha256", data, "base64url");
}

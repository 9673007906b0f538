// Metadata as pairs of text, and back; binary values in base64, as on the wire.
import { Metadata } from "./grpc-js.ts";

export function entriesOf(metadata: Metadata | null | undefined): (readonly [name: string, value: string])[] {
  return Object.entries(metadata?.toJSON() ?? {}).flatMap(([name, values]) =>
    values.map((value) => [name, typeof value === "string" ? value : value.toString("base64")] as const),
  );
}

export function metadataOf(entries: readonly (readonly [name: string, value: string])[]): Metadata {
  const metadata = new Metadata();
  for (const [name, value] of entries) metadata.add(name, name.endsWith("-bin") ? Buffer.from(value, "base64") : value);
  return metadata;
}

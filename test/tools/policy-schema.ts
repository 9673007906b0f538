// The JSON Schema of policy files, made of the zod schemas. Run as a program (`npm run update:schema`), it writes src/policy/policy.schema.json.
import { writeFileSync } from "node:fs";
import * as z from "zod";
import { policyFileSchema } from "../../src/policy/policy-schema.ts";

export const SCHEMA_FILE: URL = new URL("../../src/policy/policy.schema.json", import.meta.url);

/** The text of the file, as it should be. */
export function policySchemaText(): string {
  const { $schema, ...schema } = z.toJSONSchema(policyFileSchema(z), {
    target: "draft-2020-12",
    // `readonly()` is about types; in JSON Schema the word would tell editors that people must not write the field.
    override: ({ jsonSchema }) => {
      delete jsonSchema.readOnly;
    },
  });
  const whole = {
    $schema,
    title: "premesh policies",
    description: "A policy file: { policies: [...] }, one policy, or a list of policies.",
    ...schema,
  };
  return `${JSON.stringify(whole, null, 2)}\n`;
}

if (import.meta.main) writeFileSync(SCHEMA_FILE, policySchemaText());

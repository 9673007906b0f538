// The schema of whole policies and of policy files, made of the schemas of the kinds; also the source of the JSON Schema.
import type { ZodType } from "zod";
import { kinds } from "./kinds.ts";
import type { LayerDefinition, LayerKind, Match, Policy } from "./policy.ts";
import { coded, httpMethod, identifier, type Zod } from "./schema.ts";

/** Spelled without flags: the JSON Schema takes the bare pattern. */
const HOST = /^(?:\*|(?:\*\.)?(?:\w[\w-]{0,62}\.)*\w[\w-]{0,62}|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?$/;

function matchSchema(z: Zod): ZodType<Match> {
  return z
    .strictObject({
      host: z.exactOptional(z.string().regex(HOST, 'must be a host such as "api.internal", "*.internal" or "*", with or without ":port"')),
      path: z.exactOptional(z.string().regex(/^\/[^?#]*$/, 'must be a path prefix that begins with "/", without query')),
      methods: z.exactOptional(z.array(httpMethod(z)).min(1, "must name at least one method").readonly()),
      service: z.exactOptional(
        z.string().regex(/^(?:\*|[A-Za-z_][\w.]*)$/, 'must be a gRPC service such as "payments.v1.Payments", or "*"'),
      ),
      method: z.exactOptional(z.string().regex(/^[A-Za-z_]\w*$/, "must be the name of a gRPC method")),
      inbound: z.exactOptional(z.boolean({ error: "must be true or false" })),
    })
    .refine((match) => Object.keys(match).length > 0, coded("PM0202", 'must name at least a host; "*" is every host'))
    .refine((match) => match.method === undefined || match.service !== undefined, {
      path: ["method"],
      ...coded("PM0202", "needs a service beside it"),
    });
}

function layerSchema(z: Zod, without?: LayerKind): ZodType<LayerDefinition> {
  const names = Object.keys(kinds).filter((kind) => kind !== without);
  const schemas = names.map((kind) => kinds[kind as LayerKind].schema(z)); // the cast: keys of the table are the kinds
  // the cast: each schema is an object with a literal `kind`, which the table's type does not show
  return z.discriminatedUnion(
    "kind",
    schemas as unknown as Parameters<typeof z.discriminatedUnion>[1],
  ) as unknown as ZodType<LayerDefinition>;
}

/** The schema of one policy; `without` a kind of layer that has no place where it is used. */
export function policySchema(z: Zod, without?: LayerKind): ZodType<Policy> {
  return z.strictObject(
    {
      name: identifier(z),
      match: z.exactOptional(z.array(matchSchema(z), { error: "must be a list" }).max(1_000, "must have at most 1,000 entries").readonly()),
      layers: z.array(layerSchema(z, without), { error: "must be a list of layers" }).max(64, "must have at most 64 layers").readonly(),
    },
    { error: "must be a policy: an object with name and layers" },
  );
}

/** The schema of a policy file: `{ "policies": [...] }`, one policy, or a list. No file can hold a live instance, so none has an `adopt` layer. */
export function policyFileSchema(z: Zod): ZodType {
  const policy = policySchema(z, "adopt").meta({ id: "Policy" });
  return z.union([z.strictObject({ $schema: z.string().optional(), policies: z.array(policy) }), policy, z.array(policy)]);
}

// What a call must be like for an entry of a route: path, method, header fields, query, gRPC service and method.
import type { ZodType } from "zod";
import { unsafeRegex } from "../../../policy/safe-regex.ts";
import { coded, headerName, httpMethod, type Zod } from "../../../policy/schema.ts";

/** What a text must be like. */
export interface TextMatch {
  /** The whole of it. */
  readonly exact?: string;
  /** Its beginning. */
  readonly prefix?: string;
  /** A regular expression that fits the whole of it, without backreferences, lookaround and repeats of repeats. A text of over 1,024 characters never fits. */
  readonly regex?: string;
}

/** What a header field or a query parameter must be like: one of `exact`, `prefix`, `regex` and `present`. */
export interface FieldMatch extends TextMatch {
  readonly name: string;
  /** It is there (true), or not there (false). */
  readonly present?: boolean;
  /** It fits where the rest does not. A field that is not there fits neither way, as in Envoy. Default false. */
  readonly invert?: boolean;
}

/** Which calls an entry is for. All that is named must fit. */
export interface RouteMatch {
  /** A path prefix, by whole segments, as in a policy's own `match`; or `{ exact }`, or `{ regex }` for the whole path. Without the query. */
  readonly path?: string | { readonly exact: string } | { readonly regex: string };
  /** HTTP methods, in upper case. */
  readonly methods?: readonly string[];
  /** Header fields, or gRPC metadata. */
  readonly headers?: readonly FieldMatch[];
  /** Query parameters. */
  readonly query?: readonly FieldMatch[];
  /** A gRPC service, `"payments.v1.Payments"`. */
  readonly service?: string;
  /** A method of that service. */
  readonly method?: string;
}

/** How many fields one match may name. */
const MOST_FIELDS = 32;

export function routeMatchSchema(z: Zod): ZodType<RouteMatch> {
  const regex = z.string().superRefine((text, context) => {
    const wrong = unsafeRegex(text);
    if (wrong !== undefined) context.addIssue({ code: "custom", message: wrong, params: { code: "PM0310" } });
  });
  const path = /^\/[^?#]*$/;
  const fields = (name: ZodType<string>): ZodType<readonly FieldMatch[]> =>
    z
      .array(
        z
          .strictObject({
            name,
            exact: z.exactOptional(z.string()),
            prefix: z.exactOptional(z.string().min(1, "must not be empty")),
            regex: z.exactOptional(regex),
            present: z.exactOptional(z.boolean({ error: "must be true or false" })),
            invert: z.exactOptional(z.boolean({ error: "must be true or false" })),
          })
          .refine(
            ({ exact, prefix, regex: pattern, present }) =>
              [exact, prefix, pattern, present].filter((one) => one !== undefined).length === 1,
            coded("PM0202", "must have one of exact, prefix, regex and present"),
          ),
      )
      .min(1, "must name at least one")
      .max(MOST_FIELDS, `must name at most ${MOST_FIELDS}`)
      .readonly();
  return z
    .strictObject({
      path: z.exactOptional(
        z.union([
          z.string().regex(path, 'must be a path prefix that begins with "/", without query'),
          z.strictObject({ exact: z.string().regex(path, 'must be a path that begins with "/", without query') }),
          z.strictObject({ regex }),
        ]),
      ),
      methods: z.exactOptional(z.array(httpMethod(z)).min(1, "must name at least one method").readonly()),
      headers: z.exactOptional(fields(headerName(z))),
      query: z.exactOptional(fields(z.string().min(1, "must not be empty").max(128, "must be at most 128 characters long"))),
      service: z.exactOptional(z.string().regex(/^[A-Za-z_][\w.]*$/, 'must be a gRPC service such as "payments.v1.Payments"')),
      method: z.exactOptional(z.string().regex(/^[A-Za-z_]\w*$/, "must be the name of a gRPC method")),
    })
    .refine((match) => Object.keys(match).length > 0, coded("PM0202", "must name something; leave it out for every call"))
    .refine((match) => match.method === undefined || match.service !== undefined, {
      path: ["method"],
      ...coded("PM0202", "needs a service beside it"),
    });
}

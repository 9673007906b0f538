// Where the endpoints of an entry come from: a list, DNS, a file, or a function of the user's.
import type { ZodType } from "zod";
import type { Duration } from "../../../policy/duration.ts";
import { coded, duration, integer, numberAbove, type Zod } from "../../../policy/schema.ts";

/** One endpoint of a list. */
export interface EndpointInit {
  /** Its origin: `"http://10.0.0.1:8080"`. */
  readonly url: string;
  /** Its share, relative to the others of its list. Default 1; 0 takes no calls. */
  readonly weight?: number;
  /** Added to the priority of its entry. Default 0. */
  readonly priority?: number;
  /** Where it is. Default: the locality of its entry. */
  readonly locality?: string;
}

/** A function that finds endpoints. It is called again every `refresh`. */
export type FindEndpoints = (context: {
  /** Aborted when nobody waits for the answer any more. */
  readonly signal: AbortSignal;
}) => Iterable<string | EndpointInit> | PromiseLike<Iterable<string | EndpointInit>>;

/** An endpoint file: a Kubernetes EndpointSlice (or a list of them), or a plain list, in JSON or YAML. */
export interface EndpointFile {
  readonly path: string;
  /** Which port of an EndpointSlice: its name, or its number. Default: the first. */
  readonly port?: string | number;
}

/** Where endpoints come from: exactly one of `endpoints`, `dns`, `srv` and `file`. */
export interface Discovery {
  /** The endpoints themselves, by their origins; `"function"`: a function, which exists in its process only. */
  readonly endpoints?: readonly (string | EndpointInit)[] | "function";
  /** The addresses behind a name, A and AAAA: `"http://payments.internal:8080"`. */
  readonly dns?: string;
  /** The records of a service, with their weights and priorities: `"_http._tcp.payments.internal"`, with `https://` before it for TLS. */
  readonly srv?: string;
  /** A file that is watched for change. */
  readonly file?: string | EndpointFile;
  /** How often to look again where no TTL says it: for a function, a file whose change was not seen, and names that DNS does not know. Default 5s. */
  readonly refresh?: Duration;
}

export const REFRESH = "5s" satisfies Duration;

/** How many endpoints one entry may have. */
export const MOST_ENDPOINTS = 10_000;

/** What an origin looks like. */
export const ORIGIN: RegExp = /^https?:\/\/[^\s/?#@]+\/?$/;

/** What a locality looks like. */
export const LOCALITY: RegExp = /^[\w.-]+(?:\/[\w.-]+){0,2}$/;

const KINDS = ["endpoints", "dns", "srv", "file"] as const;

const originText = (z: Zod, example: string): ZodType<string> =>
  z
    .string()
    .regex(ORIGIN, `must be an origin such as "${example}", without path or credentials`)
    .refine((text) => !ORIGIN.test(text) || URL.canParse(text), coded("PM0205", `must be an origin such as "${example}"`));

export const locality = (z: Zod): ZodType<string> =>
  z.string().regex(LOCALITY, 'must be a place such as "region/zone/subzone", or the beginning of one');

export const priority = (z: Zod): ZodType<number> => integer(z, 0, 127);

/** 0 to 1,000,000. */
export const weight = (z: Zod): ZodType<number> => numberAbove(z, -Number.MIN_VALUE, 1e6);

function endpointList(z: Zod): ZodType<readonly (string | EndpointInit)[]> {
  const url = originText(z, "http://10.0.0.1:8080");
  const init = z.strictObject({
    url,
    weight: z.exactOptional(weight(z)),
    priority: z.exactOptional(priority(z)),
    locality: z.exactOptional(locality(z)),
  });
  return z
    .array(z.union([url, init]), { error: 'must be a list of origins such as "http://10.0.0.1:8080"' })
    .max(MOST_ENDPOINTS, `must have at most ${MOST_ENDPOINTS} endpoints`)
    .superRefine((list, context) => {
      const seen = new Map<string, number>();
      for (const [index, one] of list.entries()) {
        const origin = URL.parse(typeof one === "string" ? one : one.url)?.origin ?? "";
        const first = seen.get(origin);
        if (first === undefined) seen.set(origin, index);
        else
          context.addIssue({ code: "custom", path: [index], message: `is the endpoint of [${first}] already`, params: { code: "PM0311" } });
      }
    })
    .readonly();
}

/** The fields of {@link Discovery}. */
export function discoveryFields(z: Zod) {
  return {
    endpoints: z.exactOptional(z.union([endpointList(z), z.literal("function")])),
    dns: z.exactOptional(originText(z, "http://payments.internal:8080")),
    srv: z.exactOptional(
      z
        .string()
        .regex(
          /^(?:https?:\/\/)?_[\w-]+\._[a-z]+\.[\w.-]+$/,
          'must be a service such as "_http._tcp.payments.internal", with "https://" before it for TLS',
        ),
    ),
    file: z.exactOptional(
      z.union([
        z.string().min(1, "must be the path of a file"),
        z.strictObject({
          path: z.string().min(1, "must be the path of a file"),
          port: z.exactOptional(z.union([z.string().min(1, "must be the name of a port"), integer(z, 1, 65_535)])),
        }),
      ]),
    ),
    refresh: z.exactOptional(duration(z)),
  };
}

/** Whether exactly one source is named. */
export const hasOneSource = (entry: Discovery): boolean => KINDS.filter((kind) => entry[kind] !== undefined).length === 1;

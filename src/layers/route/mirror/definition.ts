// A mirror: where a share of the calls is sent also, for nobody to wait for.
import type { ZodType } from "zod";
import type { Duration } from "../../../policy/duration.ts";
import { duration, integer, percent, type Zod } from "../../../policy/schema.ts";
import { ORIGIN } from "../discovery/definition.ts";

export interface Mirror {
  /** Where to: an origin. */
  readonly to: string;
  /** How many calls of a hundred. Default 100. */
  readonly percent?: number;
  /** How long a mirrored call may take, until its response has ended. Default 5s. */
  readonly timeout?: Duration;
  /** How many mirrored calls may be under way; those beyond are left out. Default 100. */
  readonly limit?: number;
  /** How many bytes of a streamed body may be kept for it; a longer one is not mirrored. Default 64 KiB. */
  readonly buffer?: number;
}

export const mirrorDefaults = { percent: 100, timeout: "5s", limit: 100, buffer: 65_536 } as const;

export const mirrorSchema = (z: Zod): ZodType<Mirror> =>
  z.strictObject({
    to: z.string().regex(ORIGIN, 'must be an origin such as "http://shadow.internal:8080", without path or credentials'),
    percent: z.exactOptional(percent(z)),
    timeout: z.exactOptional(duration(z)),
    limit: z.exactOptional(integer(z, 1, 10_000)),
    buffer: z.exactOptional(integer(z, 0, 1_073_741_824)),
  });

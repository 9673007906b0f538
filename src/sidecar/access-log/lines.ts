// Lines of the access log: as JSON with the names of Envoy's fields, or as text in Envoy's default format.
// https://www.envoyproxy.io/docs/envoy/latest/configuration/observability/access_log/usage
import type { Direction } from "../../policy/matching.ts";
import type { Entry } from "../../transports/proxy/entry.ts";

export type AccessLine = (entry: Entry, direction: Direction) => string;

/** The entry has its names already. */
export const jsonLine: AccessLine = (entry, direction) => JSON.stringify({ ...entry, direction });

export const textLine: AccessLine = (entry) =>
  [
    `[${entry.start_time}]`,
    `"${escaped(entry.method)} ${escaped(entry.path)} ${entry.protocol}"`,
    `${entry.response_code} ${entry.response_flags} ${entry.bytes_received} ${entry.bytes_sent} ${entry.duration} ${entry.upstream_service_time ?? "-"}`,
    quoted(entry.x_forwarded_for),
    quoted(entry.user_agent),
    quoted(entry.request_id),
    quoted(entry.authority),
    quoted(entry.upstream_host),
  ].join(" ");

const quoted = (value: string | null): string => `"${value === null || value === "" ? "-" : escaped(value)}"`;

/** What the caller has written neither ends the line, nor its quotes, nor speaks to a terminal. */
const escaped = (text: string): string =>
  /["\\\p{Cc}]/u.test(text)
    ? text.replaceAll(/["\\\p{Cc}]/gu, (character) =>
        character === '"' || character === "\\" ? `\\${character}` : `\\x${character.codePointAt(0)?.toString(16).padStart(2, "0")}`,
      )
    : text;

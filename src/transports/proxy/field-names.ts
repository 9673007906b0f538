// Field names: which of them a proxy has to do with, told apart once for each spelling that comes.

/** What a field is to a proxy. */
export const Kind = {
  /** Passed on as it is. */
  PLAIN: 0,
  /** For this connection only (RFC 9110, 7.6.1), or between a client and its proxy. */
  HOP: 1,
  /** Names further fields that are for this connection only. */
  CONNECTION: 2,
  /** Mesh orders and marks, Envoy's: heeded or not, never passed on. */
  ENVOY: 3,
  /** Ours: between two places of one policy, never passed on. */
  PREMESH: 4,
  /** W3C trace context: passed on unless an attempt has a span of its own. */
  TRACE: 5,
  /** One of {@link NOTED}: the proxy reads it, and passes it on itself where it is to be passed on. */
  NOTED: 6,
  /** The proxy reads it and it is passed on. */
  SEEN: 7,
} as const;

export type Kind = (typeof Kind)[keyof typeof Kind];

export interface Name {
  readonly kind: Kind;
  /** Empty where the kind is PLAIN. */
  readonly lower: string;
}

const kinds = new Map<string, Kind>([
  ["connection", Kind.CONNECTION],
  ["keep-alive", Kind.HOP],
  ["proxy-connection", Kind.HOP],
  ["proxy-authenticate", Kind.HOP],
  ["proxy-authorization", Kind.HOP],
  ["te", Kind.HOP],
  ["transfer-encoding", Kind.HOP],
  ["upgrade", Kind.HOP],
  ["http2-settings", Kind.HOP],
  ["expect", Kind.HOP], // the wire answers it
  ["traceparent", Kind.TRACE],
  ["tracestate", Kind.TRACE],
  ["baggage", Kind.TRACE],
  ["grpc-previous-rpc-attempts", Kind.NOTED],
  ["grpc-timeout", Kind.NOTED],
  ["max-forwards", Kind.NOTED],
  ["via", Kind.NOTED],
  ["x-forwarded-for", Kind.NOTED],
  ["x-forwarded-proto", Kind.NOTED],
  ["x-request-id", Kind.NOTED],
  ["content-type", Kind.SEEN],
  ["date", Kind.SEEN],
  ["grpc-retry-pushback-ms", Kind.SEEN],
  ["grpc-message", Kind.SEEN],
  ["grpc-status", Kind.SEEN],
  ["retry-after", Kind.SEEN],
]);

function classified(lower: string): Kind {
  if (lower.startsWith("x-envoy-")) return Kind.ENVOY;
  if (lower.startsWith("premesh-")) return Kind.PREMESH;
  return kinds.get(lower) ?? Kind.PLAIN;
}

/** Spellings are a client's to choose, so that only so many are remembered. */
const MOST_SPELLINGS = 4_096;

const known = new Map<string, Name>();

const LETTER_A = 0x61;
const ANY_LENGTH = 0xffff_ffff;

/** Of a name that is none of ours; its spelling is nobody's concern. */
const PLAIN: Name = { kind: Kind.PLAIN, lower: "" };

/** For each first letter the lengths of the names above that begin so, as bits. Most names of a request are told apart by that, which a look-up costs ten times as much as. */
const LENGTHS = new Uint32Array(26);
for (const name of kinds.keys()) {
  const letter = name.charCodeAt(0) - LETTER_A;
  LENGTHS[letter] = (LENGTHS[letter] ?? 0) | (1 << name.length);
}
for (const prefix of ["x-envoy-", "premesh-"]) LENGTHS[prefix.charCodeAt(0) - LETTER_A] = ANY_LENGTH;

export function nameOf(spelling: string): Name {
  const { length } = spelling;
  const lengths = LENGTHS[(spelling.charCodeAt(0) | 0x20) - LETTER_A] ?? 0;
  if (lengths !== ANY_LENGTH && (length > 31 || ((lengths >>> length) & 1) === 0)) return PLAIN;
  const found = known.get(spelling);
  if (found !== undefined) return found;
  const lower = spelling.toLowerCase();
  const name = { kind: classified(lower), lower };
  if (known.size < MOST_SPELLINGS) known.set(spelling, name);
  return name;
}

/** What a `Connection` field may not take away: it says where the message ends. */
const FRAMING = new Set(["content-length", "host"]);

/** The names that `Connection` fields nominate, beyond those that are never passed on anyway; `undefined`: none. */
export function nominatedBy(values: readonly string[]): ReadonlySet<string> | undefined {
  let names: Set<string> | undefined;
  for (const value of values) {
    if (value === "close" || value === "keep-alive") continue;
    for (const one of value.split(",")) {
      const name = one.trim().toLowerCase();
      if (name === "" || name === "close" || kinds.get(name) === Kind.HOP || FRAMING.has(name)) continue;
      (names ??= new Set()).add(name);
    }
  }
  return names;
}

/** The fields without those of these names. */
export function without(fields: readonly string[], names: ReadonlySet<string>): string[] {
  const kept: string[] = [];
  for (let at = 0; at + 1 < fields.length; at += 2) {
    const [name = "", value = ""] = [fields[at], fields[at + 1]];
    if (!names.has(name.toLowerCase())) kept.push(name, value);
  }
  return kept;
}

/** All values of a field as one, as a list is written (RFC 9110, 5.3); `name` in lower case. */
export function valueOf(fields: readonly string[], name: string): string | undefined {
  let found: string | undefined;
  for (let at = 0; at < fields.length; at += 2) {
    const spelling = fields[at];
    if (spelling === undefined || spelling.length !== name.length || (spelling !== name && spelling.toLowerCase() !== name)) continue;
    const value = fields[at + 1] ?? "";
    found = found === undefined ? value : `${found}${name === "cookie" ? "; " : ", "}${value}`;
  }
  return found;
}

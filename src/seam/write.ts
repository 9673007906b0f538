// Writes structured fields (RFC 9651, 4.1).
import { type BareItem, type Item, NO_PARAMETERS, type Settings } from "./structured.ts";

/** One member: a value, or a list of values; perhaps with parameters. */
export type Written = BareItem | Item | readonly (BareItem | Item)[];

/** A dictionary of these members; those that are `undefined` are left out. */
export function writeDictionary(members: Readonly<Record<string, Written | undefined>>): string {
  const parts: string[] = [];
  for (const [key, value] of Object.entries(members)) {
    if (value === undefined) continue;
    parts.push(Array.isArray(value) ? `${key}=(${value.map(writeItem).join(" ")})` : member(key, value as BareItem | Item)); // the cast: isArray does not narrow readonly lists
  }
  return parts.join(", ");
}

/** `true` is written as its key alone. */
function member(key: string, value: BareItem | Item): string {
  const { value: bare, parameters: more } = asItem(value);
  return bare === true ? key + writeParameters(more) : `${key}=${writeItem(value)}`;
}

export function writeItem(value: BareItem | Item): string {
  const { value: bare, parameters: more } = asItem(value);
  return writeBare(bare) + writeParameters(more);
}

const asItem = (value: BareItem | Item): Item =>
  typeof value === "object" && "parameters" in value ? value : { value, parameters: NO_PARAMETERS };

function writeParameters(all: Settings): string {
  let text = "";
  for (const [key, value] of all) text += value === true ? `;${key}` : `;${key}=${writeBare(value)}`;
  return text;
}

function writeBare(value: BareItem): string {
  if (typeof value === "string") return `"${value.replace(/["\\]/g, "\\$&")}"`;
  if (typeof value === "boolean") return value ? "?1" : "?0";
  if (typeof value === "number") return Number.isInteger(value) ? String(value) : decimal(value);
  if (value instanceof Uint8Array) return `:${Buffer.from(value).toString("base64")}:`;
  if ("token" in value) return value.token;
  if ("date" in value) return `@${value.date}`;
  return `%"${value.display.toWellFormed().replace(/[^\x20\x21\x23\x24\x26-\x7e]/gu, percentEncoded)}"`;
}

/** At most three digits behind the point, which never is the last character. */
const decimal = (value: number): string => value.toFixed(3).replace(/0{1,2}$/, "");

/** encodeURIComponent leaves ASCII letters alone, which never come here. */
const percentEncoded = (character: string): string =>
  character === '"' || character === "%" || character < " " || character === "\x7f"
    ? `%${character.charCodeAt(0).toString(16).padStart(2, "0")}`
    : encodeURIComponent(character).toLowerCase();

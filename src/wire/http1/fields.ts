// Fields: reads header and trailer fields, and what they say of the message's frame and its connection.
import type { Limits } from "../limits.ts";
import { TOKEN, VALUE } from "../syntax.ts";

/** What the fields of one head say. */
export interface Facts {
  hosts: number;
  host: string;
  /** How many Content-Length and Transfer-Encoding fields there are. */
  lengths: number;
  length: string;
  codings: number;
  coding: string;
  connection: string;
  keepAlive: string;
  upgrade: string;
  expect: string;
}

/** What the fields that were read last say. There is one for all, since heads are read one at a time and nothing of it is kept. */
export const facts: Facts = {
  hosts: 0,
  host: "",
  lengths: 0,
  length: "",
  codings: 0,
  coding: "",
  connection: "",
  keepAlive: "",
  upgrade: "",
  expect: "",
};

function reset(): void {
  facts.hosts = 0;
  facts.host = "";
  facts.lengths = 0;
  facts.length = "";
  facts.codings = 0;
  facts.coding = "";
  facts.connection = "";
  facts.keepAlive = "";
  facts.upgrade = "";
  facts.expect = "";
}

const join = (list: string, value: string): string => (list === "" ? value : `${list},${value}`);

/** The first letters of the names below, by their length: nearly all that are as long are told apart by it. */
const FIRST = new Uint8Array(256);
for (const name of ["host", "expect", "upgrade", "connection", "keep-alive", "content-length", "transfer-encoding"])
  FIRST[name.charCodeAt(0)] = 1;

/** Notes a field that the wire has to know of; `tab`: one stands behind the value. True: it is Host, which is not among the fields. */
function note(name: string, value: string, tab: boolean): boolean {
  if (FIRST[name.charCodeAt(0) | 0x20] !== 1) return false;
  switch (name.length) {
    case 4:
      if (name.toLowerCase() !== "host") return false;
      facts.hosts++;
      facts.host = value;
      return true;
    case 6:
      if (name.toLowerCase() === "expect") facts.expect = join(facts.expect, value);
      return false;
    case 7:
      if (name.toLowerCase() === "upgrade") facts.upgrade = join(facts.upgrade, value);
      return false;
    case 10: {
      const small = name.toLowerCase();
      if (small === "connection") facts.connection = join(facts.connection, value);
      else if (small === "keep-alive") facts.keepAlive = value;
      return false;
    }
    case 14:
      if (name.toLowerCase() === "content-length") {
        facts.lengths++;
        facts.length = value;
      }
      return false;
    case 17:
      if (name.toLowerCase() === "transfer-encoding") {
        facts.codings++;
        facts.coding = tab ? `${value}\t` : value; // llhttp and those that use it do not take this for `chunked`, so nobody should
      }
      return false;
    default:
      return false;
  }
}

export type Fault = "syntax" | "too-large";

/**
 * Reads lines of `name: value`, each with its CRLF, from `at` to the end of the text into `into` and {@link facts}. What is refused: line folding, a bare CR or LF, controls
 * and NUL, a space before the colon, an empty name, and more fields than the bound.
 */
export function readFields(text: string, at: number, into: string[], limits: Limits): Fault | undefined {
  reset();
  let count = 0;
  while (at < text.length) {
    const begin = at;
    let code = text.charCodeAt(at);
    while (TOKEN[code] === 1) code = text.charCodeAt(++at);
    if (code !== 0x3a || at === begin) return "syntax";
    const colon = at++;
    code = text.charCodeAt(at);
    while (code === 32 || code === 9) code = text.charCodeAt(++at);
    const from = at;
    while (VALUE[code] === 1) code = text.charCodeAt(++at);
    if (code !== 13 || text.charCodeAt(at + 1) !== 10) return "syntax";
    const tab = text.charCodeAt(at - 1) === 9;
    let to = at;
    while (to > from && ((code = text.charCodeAt(to - 1)) === 32 || code === 9)) to--;
    at += 2;
    if (++count > limits.fields) return "too-large";
    const name = text.slice(begin, colon);
    const value = text.slice(from, to);
    if (!note(name, value, tab)) into.push(name, value);
  }
  return undefined;
}

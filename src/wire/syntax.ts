// Syntax: which characters HTTP/1.1 allows where (RFC 9110 5, RFC 9112 3), as tables over the bytes of a head, which is read as Latin-1.

function table(allowed: (code: number) => boolean): Uint8Array {
  return Uint8Array.from({ length: 256 }, (_, code) => (allowed(code) ? 1 : 0));
}

/** Characters of a method and of a field's name. */
export const TOKEN = table((code) => /[!#$%&'*+\-.^_`|~0-9A-Za-z]/.test(String.fromCharCode(code)));

/** Characters of a field's value: no controls but the tab. */
export const VALUE = table((code) => code === 9 || (code >= 32 && code !== 127));

/** Characters of a target. Wider than RFC 3986, for what browsers and URL parsers leave as it is; those that they all escape are refused. */
const TARGET = table((code) => code > 32 && code < 127 && !/["<>#]/.test(String.fromCharCode(code)));

export function isToken(text: string): boolean {
  for (let at = 0; at < text.length; at++) if (TOKEN[text.charCodeAt(at)] !== 1) return false;
  return text.length > 0;
}

export function isValue(text: string): boolean {
  for (let at = 0; at < text.length; at++) if (VALUE[text.charCodeAt(at)] !== 1) return false;
  return true;
}

/** Whether it has no space and no control, and something else: a target as it may be written. */
export function isVisible(text: string): boolean {
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code <= 32 || code >= 127) return false;
  }
  return text.length > 0;
}

/** Whether it is a path with its query. A backslash in the path is refused: URL parsers take it for a slash. */
export function isPath(text: string): boolean {
  if (text.charCodeAt(0) !== 0x2f) return false;
  let query = false;
  for (let at = 1; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (TARGET[code] !== 1 || (code === 0x5c && !query)) return false;
    if (code === 0x3f) query = true;
  }
  return true;
}

const AUTHORITY = /^(?:[0-9A-Za-z](?:[0-9A-Za-z_~-]|\.(?!\.))*|_(?:[0-9A-Za-z_~-]|\.(?!\.))*|\[[0-9A-Fa-f:.]{2,}\])(?::(\d{1,5}))?$/;

let lastAuthority = "";

/** Whether it is a host with or without a port, and nothing else: no user, no comma, no empty name. */
export function isAuthority(text: string): boolean {
  if (text === lastAuthority && text !== "") return true; // one client asks for one host again and again
  const match = AUTHORITY.exec(text);
  if (match === null || text.length > 262 || Number(match[1] ?? 1) > 65_535) return false;
  lastAuthority = text;
  return true;
}

/** Whether a list of tokens (`keep-alive, Upgrade`) has this one, which is written small. */
export function listHas(list: string, token: string): boolean {
  return list.length >= token.length && list.split(",").some((one) => one.trim().toLowerCase() === token);
}

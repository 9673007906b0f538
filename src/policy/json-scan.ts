// scanJson: walks the values of a JSON text that JSON.parse has taken, with their places, which JSON.parse forgets; it needs no stack, so depth is no danger.

/** The way to a value: the keys and indexes of what it is in, outermost first. */
export interface Frame {
  /** Undefined in a list. */
  readonly keys: Set<string> | undefined;
  key: string;
  index: number;
  /** The next text is a key. */
  beforeKey: boolean;
}

export interface JsonVisitor {
  /** `keyAt`: where the key of this value stands; undefined in a list and for the whole. */
  readonly value: (frames: readonly Frame[], at: number, keyAt: number | undefined) => void;
  readonly keyAgain: (frames: readonly Frame[], at: number) => void;
}

export function scanJson(text: string, visitor: JsonVisitor): void {
  const frames: Frame[] = [];
  let keyAt: number | undefined;
  let at = 0;
  while (at < text.length) {
    const letter = text[at] ?? "";
    const top = frames.at(-1);
    if (letter === '"' && top?.beforeKey === true) {
      const end = endOfText(text, at);
      top.key = keyOf(text.slice(at, end));
      top.beforeKey = false;
      if (top.keys?.has(top.key) === true) visitor.keyAgain(frames, at);
      top.keys?.add(top.key);
      keyAt = at;
      at = end;
    } else if (letter === "," && top !== undefined) {
      if (top.keys === undefined) top.index++;
      else top.beforeKey = true;
      at++;
    } else if (letter === "}" || letter === "]") {
      frames.pop();
      at++;
    } else if (/[\s:]/.test(letter)) at++;
    else {
      visitor.value(frames, at, top?.keys === undefined ? undefined : keyAt);
      if (letter === "{") frames.push({ keys: new Set(), key: "", index: 0, beforeKey: true });
      else if (letter === "[") frames.push({ keys: undefined, key: "", index: 0, beforeKey: false });
      at = letter === '"' ? endOfText(text, at) : letter === "{" || letter === "[" ? at + 1 : endOfWord(text, at);
    }
  }
}

/** Behind the closing quote of the text that begins at `at`. */
function endOfText(text: string, at: number): number {
  let end = at + 1;
  while (end < text.length && text[end] !== '"') end += text[end] === "\\" ? 2 : 1;
  return end + 1;
}

/** Behind a number, `true`, `false` or `null`. */
function endOfWord(text: string, at: number): number {
  let end = at + 1;
  while (end < text.length && !/[\s,\]}]/.test(text[end] ?? "")) end++;
  return end;
}

const keyOf = (quoted: string): string => (quoted.includes("\\") ? String(JSON.parse(quoted)) : quoted.slice(1, -1));

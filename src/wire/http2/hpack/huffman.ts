// Huffman: reads strings in HPACK's Huffman code (RFC 7541, 5.2 and Appendix B).

/** The symbols whose codes have so many bits. The code is canonical: codes count up along this list, so that the lengths say all. */
const SYMBOLS: readonly (readonly [bits: number, symbols: string])[] = [
  [5, "012aceiost"],
  [6, " %-./3456789=A_bdfghlmnpru"],
  [7, ":BCDEFGHIJKLMNOPQRSTUVWYjkqvwxyz"],
  [8, "&*,;XZ"],
  [10, '!"()?'],
  [11, "'+|"],
  [12, "#>"],
  [13, "\0$@[]~"],
  [14, "^}"],
  [15, "<`{"],
  [19, "\\\xc3\xd0"],
  [20, "\x80\x82\x83\xa2\xb8\xc2\xe0\xe2"],
  [21, "\x99\xa1\xa7\xac\xb0\xb1\xb3\xd1\xd8\xd9\xe3\xe5\xe6"],
  [22, "\x81\x84\x85\x86\x88\x92\x9a\x9c\xa0\xa3\xa4\xa9\xaa\xad\xb2\xb5\xb9\xba\xbb\xbd\xbe\xc4\xc6\xe4\xe8\xe9"],
  [23, "\x01\x87\x89\x8a\x8b\x8c\x8d\x8f\x93\x95\x96\x97\x98\x9b\x9d\x9e\xa5\xa6\xa8\xae\xaf\xb4\xb6\xb7\xbc\xbf\xc5\xe7\xef"],
  [24, "\t\x8e\x90\x91\x94\x9f\xab\xce\xd7\xe1\xec\xed"],
  [25, "\xc7\xcf\xea\xeb"],
  [26, "\xc0\xc1\xc8\xc9\xca\xcd\xd2\xd5\xda\xdb\xee\xf0\xf2\xf3\xff"],
  [27, "\xcb\xcc\xd3\xd4\xd6\xdd\xde\xdf\xf1\xf4\xf5\xf6\xf7\xf8\xfa\xfb\xfc\xfd\xfe"],
  [28, "\x02\x03\x04\x05\x06\x07\b\v\f\x0e\x0f\x10\x11\x12\x13\x14\x15\x17\x18\x19\x1a\x1b\x1c\x1d\x1e\x1f\x7f\xdc\xf9"],
  [30, "\n\r\x16"], // and the end of the string, which is never written
];

/** How many bits are looked up at once. */
const PEEK = 12;
const MASK = 2 ** PEEK - 1;

/**
 * What the next bits begin with, a symbol or two that fit: the first symbol, the second << 8, the bits of the first << 16, of both << 20, their
 * number << 24. 0: not looked up yet: it is filled as it is used, since to fill it all took milliseconds of every start.
 */
const NEXT = new Int32Array(MASK + 1);

/** The entry of bits that begin a longer code. */
const LONG = -1;

/** The first code of each length, how many there are, and where their symbols begin in `ORDER`. */
const FIRST = new Int32Array(31);
const COUNT = new Int32Array(31);
const START = new Int32Array(31);
const ORDER = Buffer.from(SYMBOLS.map(([, symbols]) => symbols).join(""), "latin1");

for (const [bits, symbols] of SYMBOLS) COUNT[bits] = symbols.length;
for (let bits = 1; bits <= 30; bits++) {
  FIRST[bits] = ((FIRST[bits - 1] ?? 0) + (COUNT[bits - 1] ?? 0)) << 1;
  START[bits] = (START[bits - 1] ?? 0) + (COUNT[bits - 1] ?? 0);
}

const firstBits = (entry: number): number => (entry >> 16) & 15;

/** The symbol that so many bits begin with, and its own bits << 16; 0: none. */
function symbolIn(next: number, known: number): number {
  for (let bits = 5; bits <= known; bits++) {
    const nth = (next >> (PEEK - bits)) - (FIRST[bits] ?? 0);
    if (nth < (COUNT[bits] ?? 0)) return (ORDER[(START[bits] ?? 0) + nth] ?? 0) | (bits << 16);
  }
  return 0;
}

function lookUp(next: number): number {
  const one = symbolIn(next, PEEK);
  const bits = firstBits(one);
  const two = symbolIn((next << bits) & MASK, PEEK - bits);
  const entry = one === 0 ? LONG : one | ((two & 0xff) << 8) | ((bits + firstBits(two)) << 20) | ((two === 0 ? 1 : 2) << 24);
  NEXT[next] = entry;
  return entry;
}

const entryOf = (next: number): number => NEXT[next] || lookUp(next);

/** How much room a string of so many bytes needs: no code is shorter than five bits, and one byte more is written than counts. */
export const roomFor = (bytes: number): number => Math.floor((bytes * 8) / 5) + 1;

/** Writes what the string says into `into`, where there is room; gives its length, or -1: it is not a string of this code. */
export function decodeHuffman(bytes: Uint8Array, from: number, to: number, into: Uint8Array): number {
  let at = from;
  let length = 0;
  /** The last `left` bits of this are not read yet. */
  let word = 0;
  let left = 0;
  for (;;) {
    if (left < PEEK) {
      if (at + 1 < to) {
        word = (word << 16) | ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
        at += 2;
        left += 16;
      } else if (at < to) {
        word = (word << 8) | (bytes[at++] ?? 0);
        left += 8;
      }
      if (left < PEEK) break;
    }
    left -= PEEK;
    const next = (word >> left) & MASK;
    const entry = entryOf(next);
    if (entry !== LONG) {
      into[length] = entry;
      into[length + 1] = entry >> 8;
      length += entry >> 24;
      left += PEEK - ((entry >> 20) & 15);
      continue;
    }
    let code = next;
    let bits = PEEK;
    let nth = 0;
    do {
      if (left === 0) {
        if (at === to) return -1;
        word = bytes[at++] ?? 0;
        left = 8;
      }
      left--;
      code = (code << 1) | ((word >> left) & 1);
      bits++;
      nth = code - (FIRST[bits] ?? 0);
    } while (bits < 30 && nth >= (COUNT[bits] ?? 0));
    if (nth >= (COUNT[bits] ?? 0)) return -1; // the end of the string, written out
    into[length++] = ORDER[(START[bits] ?? 0) + nth] ?? 0;
  }
  // What is left is one last symbol or two, and fewer than eight ones.
  for (;;) {
    const entry = entryOf(((word << (PEEK - left)) | (MASK >> left)) & MASK);
    if (entry === LONG || firstBits(entry) > left) break;
    into[length++] = entry;
    left -= firstBits(entry);
  }
  const ones = (1 << left) - 1;
  return left < 8 && (word & ones) === ones ? length : -1;
}

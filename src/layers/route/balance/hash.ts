// The hash of consistent balancers: xxHash32 of the UTF-8 bytes (https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md).
// Chosen since every process must get the same number from the same text, whatever its version. Envoy's xxHash64 needs BigInt in JavaScript, which
// costs microseconds and an allocation; 32 bits are plenty for a ring of a million points, and a seed makes many points of one key.

const P1 = 0x9e3779b1;
const P2 = 0x85ebca77;
const P3 = 0xc2b2ae3d;
const P4 = 0x27d4eb2f;
const P5 = 0x165667b1;

const encoder = new TextEncoder();
/** Where short ASCII text, which is nearly all of it, is put without allocating. */
const scratch = new Uint8Array(256);

/** A whole number of 32 bits, from 0. */
export function hash32(text: string, seed = 0): number {
  if (text.length > scratch.length) return hashOfBytes(encoder.encode(text), undefined, seed);
  for (let index = 0; index < text.length; index++) {
    const unit = text.charCodeAt(index);
    if (unit > 0x7f) return hashOfBytes(encoder.encode(text), undefined, seed);
    scratch[index] = unit;
  }
  return hashOfBytes(scratch, text.length, seed);
}

const rotl = (word: number, bits: number): number => (word << bits) | (word >>> (32 - bits));

const round = (lane: number, word: number): number => Math.imul(rotl((lane + Math.imul(word, P2)) | 0, 13), P1);

function hashOfBytes(bytes: Uint8Array, size: number | undefined, seed: number): number {
  const length = size ?? bytes.length;
  // the cast: `at` stays below the length
  const byte = (at: number): number => bytes[at] as number;
  const word = (at: number): number => byte(at) | (byte(at + 1) << 8) | (byte(at + 2) << 16) | (byte(at + 3) << 24);
  let at = 0;
  let hash: number;
  if (length >= 16) {
    let [a, b, c, d] = [(seed + P1 + P2) | 0, (seed + P2) | 0, seed | 0, (seed - P1) | 0];
    for (; at + 16 <= length; at += 16) {
      a = round(a, word(at));
      b = round(b, word(at + 4));
      c = round(c, word(at + 8));
      d = round(d, word(at + 12));
    }
    hash = rotl(a, 1) + rotl(b, 7) + rotl(c, 12) + rotl(d, 18);
  } else {
    hash = seed + P5;
  }
  hash = (hash + length) | 0;
  for (; at + 4 <= length; at += 4) hash = Math.imul(rotl((hash + Math.imul(word(at), P3)) | 0, 17), P4);
  for (; at < length; at++) hash = Math.imul(rotl((hash + Math.imul(byte(at), P5)) | 0, 11), P1);
  hash = Math.imul(hash ^ (hash >>> 15), P2);
  hash = Math.imul(hash ^ (hash >>> 13), P3);
  return (hash ^ (hash >>> 16)) >>> 0;
}

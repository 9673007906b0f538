// Buffers: what frames are gathered in before they are written, of two sizes, for all connections, since few of them have something to say at the same time.

/** An answer or two. A thousand connections that all have one in the same turn of the loop take 2 MB. */
const SMALL = 2 * 1024;
const LARGE = 16 * 1024;
/** Those of a size that nothing is in. */
const MOST_SPARE = 16;

const small: Buffer[] = [];
const large: Buffer[] = [];

/** One that has room for so many bytes. */
export function takeBuffer(bytes: number): Buffer {
  if (bytes <= SMALL) return small.pop() ?? Buffer.allocUnsafeSlow(SMALL);
  if (bytes <= LARGE) return large.pop() ?? Buffer.allocUnsafeSlow(LARGE);
  return Buffer.allocUnsafeSlow(bytes);
}

/** Nobody reads it any more. */
export function giveBuffer(buffer: Buffer): void {
  const spare = buffer.length === SMALL ? small : large;
  if (spare.length < MOST_SPARE && buffer.length <= LARGE) spare.push(buffer);
}

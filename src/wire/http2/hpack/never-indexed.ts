// Never indexed: the names whose values no table may hold (RFC 7541, 7.1.3): the well-known ones, and those that a peer has marked so.

const ALWAYS = new Set(["authorization", "cookie", "proxy-authorization", "set-cookie"]);

/** So many names of peers are remembered, the latest; a name that is longer than anybody's is not. */
const NAMES = 64;
const LONGEST = 64;

/** What came in as never indexed goes out so (RFC 7541, 6.2.3), over whichever connection: one list for all. */
const marked = new Set<string>();
let latest = "";

let changes = 0;

/** Another number after each change of what `isNeverIndexed` says. */
export const neverIndexedChanges = (): number => changes;

export const isNeverIndexed = (name: string): boolean => ALWAYS.has(name) || marked.has(name);

/** A peer has sent a field of this name as never to be indexed. */
export function markNeverIndexed(name: string): void {
  if (name === latest || name.length > LONGEST || ALWAYS.has(name)) return;
  latest = name;
  if (!marked.delete(name)) changes++;
  marked.add(name);
  if (marked.size <= NAMES) return;
  const [oldest] = marked;
  if (oldest !== undefined) marked.delete(oldest);
}

// Probe: one question to one endpoint, whether it is well.

/** What came of a question. `answered`: the endpoint has said no itself; otherwise it gave no answer, which may be chance. */
export type Verdict = { readonly well: true } | { readonly well: false; readonly answered: boolean; readonly why: string };

/** Asks once. It gives its verdict when the signal is aborted, at the latest, and has then closed its connection; it never rejects. */
export type Probe = (url: URL, signal: AbortSignal) => Promise<Verdict>;

export const well: Verdict = { well: true };

export const saysNo = (why: string): Verdict => ({ well: false, answered: true, why });

export const noAnswer = (error: unknown): Verdict => ({ well: false, answered: false, why: wordsOf(error) });

/** The code of an error, else its message. */
function wordsOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { code } = error as { code?: unknown }; // the cast: any error can be asked
  return typeof code === "string" ? code : error.message;
}

/** Without the port, for TLS; an IP address is no server name (RFC 6066, 3). */
export function serverName(authority: string): string | undefined {
  const name = authority.replace(/:\d+$/, "");
  return /^[\d.]+$|^\[/.test(name) ? undefined : name;
}

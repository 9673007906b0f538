// Tunnel: what the first bytes that come through a CONNECT are.

/** `more`: they may yet become HTTP. */
export type TunnelProtocol = "http1" | "http2" | "opaque" | "more";

const PREFACE = "PRI * HTTP/2.0\r\n";
const REQUEST_LINE = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,32} [!-~]+ HTTP\/1\.[01]\r\n/;
const BEGINNING = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,32}(?: (?:[!-~]+(?: [HTP/1.\r]{0,9})?)?)?$/;

/** Only what has the whole first line of HTTP is taken for it: in TLS and in every other protocol nothing is touched. */
export function tunnelProtocol(bytes: Buffer, lineBytes: number): TunnelProtocol {
  const line = bytes.toString("latin1", 0, Math.min(bytes.length, lineBytes));
  if (line.startsWith(PREFACE)) return "http2";
  if (REQUEST_LINE.test(line)) return "http1";
  return line.length < lineBytes && (PREFACE.startsWith(line) || BEGINNING.test(line)) ? "more" : "opaque";
}

/** The authority of a request that came through a tunnel: the tunnel's, in the spelling of Host where that means the same. */
export function tunnelAuthority(host: string, tunnel: string): string {
  const small = host.toLowerCase();
  return small === tunnel.toLowerCase() || `${small}:80` === tunnel.toLowerCase() ? host : tunnel;
}

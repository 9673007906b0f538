// The server that a target names, as OpenTelemetry's attributes word it.

/** `server.address` and, where the target names one, `server.port`. */
export function serverOf(target: string): Readonly<Record<string, string | number>> {
  const url = URL.parse(`http://${target}`);
  if (url === null) return { "server.address": target };
  return url.port === "" ? { "server.address": url.hostname } : { "server.address": url.hostname, "server.port": Number(url.port) };
}

// Asks by HTTP: a path, and statuses that mean well. Each time over a new connection, so that a check tells whether one can be made.
import type { IncomingMessage, RequestOptions } from "node:http";
import type { HttpHealth } from "./definition.ts";
import { noAnswer, type Probe, saysNo, serverName, type Verdict, well } from "./probe.ts";

/** Nobody reads the body of a check; more than this is not waited for. */
const MOST_BYTES = 65_536;

/** `authority`: what calls say in Host; absent: the endpoint's own. */
export function httpProbe({ path, method = "GET", expectedStatuses = [200], host }: HttpHealth, authority: string | undefined): Probe {
  const expected = new Set(expectedStatuses);
  return async (url, signal) => {
    // loaded late: no policy without checks needs it
    const { request } = url.protocol === "https:" ? await import("node:https") : await import("node:http");
    if (signal.aborted) return noAnswer(signal.reason);
    return new Promise<Verdict>((resolve) => {
      const called = host ?? authority ?? url.host;
      const servername = serverName(called);
      const options: RequestOptions & { servername?: string } = {
        method,
        path,
        agent: false,
        signal,
        headers: { host: called, "user-agent": "premesh-health", connection: "close" },
        ...(servername === undefined ? {} : { servername }),
      };
      const asked = request(url, options);
      asked.once("socket", (socket) => socket.unref()); // a check keeps no process alive
      asked.once("error", (error) => resolve(noAnswer(signal.aborted ? signal.reason : error)));
      asked.once("response", (response: IncomingMessage) => {
        const { statusCode = 0 } = response;
        const verdict = expected.has(statusCode) ? well : saysNo(`status ${statusCode}`);
        let bytes = 0;
        response.on("data", (part: Buffer) => {
          bytes += part.byteLength;
          if (bytes <= MOST_BYTES) return;
          resolve(verdict);
          asked.destroy();
        });
        response.once("end", () => resolve(verdict));
        response.once("close", () => resolve(noAnswer(new Error("the answer broke off")))); // after its end that says nothing
        response.once("error", (error) => resolve(noAnswer(signal.aborted ? signal.reason : error)));
      });
      asked.end();
    });
  };
}

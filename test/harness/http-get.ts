// One request, as a program sends it that is no browser and no proxy's client.
import { request } from "node:http";

export interface Got {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  readonly body: string;
}

export interface Asking {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** `address`: `127.0.0.1:15000` or `unix:/run/admin.sock`; `path` may be a whole URL. */
export function ask(address: string, path: string, { method = "GET", headers = {} }: Asking = {}): Promise<Got> {
  return new Promise((resolve, reject) => {
    const at = address.startsWith("unix:")
      ? { socketPath: address.slice(5) }
      : { host: address.slice(0, address.lastIndexOf(":")), port: address.slice(address.lastIndexOf(":") + 1) };
    const sent = request({ ...at, path, method, headers, agent: false }, (response) => {
      let body = "";
      response.setEncoding("utf8").on("data", (text: string) => (body += text));
      response.on("end", () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body }));
      response.on("error", reject);
    });
    sent.on("error", reject).end();
  });
}

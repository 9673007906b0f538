// A real HTTP server for an example: on a free port of 127.0.0.1, gone when the example ends.
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";

export interface ExampleServer {
  /** `http://127.0.0.1:<port>` */
  readonly url: string;
  close(): void;
}

export async function serve(listener: RequestListener): Promise<ExampleServer> {
  const server = createServer(listener);
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject).listen(0, "127.0.0.1", resolve);
  });
  const { port } = server.address() as AddressInfo; // the cast: it listens on TCP
  return {
    url: `http://127.0.0.1:${port}`,
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}

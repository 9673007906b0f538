// The bare proxy of HTTP/1.1: a node:http server and undici's dispatch, and nothing between them.
import { createServer, type ServerResponse } from "node:http";
import { Agent, type Dispatcher } from "undici7";

const agent = new Agent({ pipelining: 1 });

const HOP = new Set(["connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade", "te"]);

function kept(fields: readonly string[]): string[] {
  const all: string[] = [];
  for (let index = 0; index < fields.length; index += 2) {
    const [name = "", value = ""] = [fields[index], fields[index + 1]];
    if (!HOP.has(name.toLowerCase())) all.push(name, value);
  }
  return all;
}

const answering = (response: ServerResponse): Dispatcher.DispatchHandler => ({
  onRequestStart: () => undefined, // by which undici knows the generation of a handler
  onResponseStart: (_controller, status, headers) => {
    const { connection: _connection, "keep-alive": _keepAlive, "transfer-encoding": _encoding, ...fields } = headers;
    response.writeHead(status, fields);
  },
  onResponseData: (controller, chunk) => {
    if (response.write(chunk)) return;
    controller.pause();
    response.once("drain", () => controller.resume());
  },
  onResponseEnd: () => void response.end(),
  onResponseError: (_controller, error) => void response.destroy(error),
});

const server = createServer((request, response) => {
  const { method = "GET", url: path = "/", headers, rawHeaders } = request;
  const body = headers["content-length"] === undefined && headers["transfer-encoding"] === undefined ? null : request;
  agent.dispatch({ origin: `http://${headers.host ?? ""}`, path, method, headers: kept(rawHeaders), body }, answering(response));
});
server.keepAliveTimeout = 60_000;
server.listen(Number(process.argv[2]), "127.0.0.1");

// The server of the fetch bench: in a process of its own, so that its CPU time is not counted; it answers at once with a few bytes.
import { createServer } from "node:http";

const server = createServer((request, response) => {
  request.resume();
  response.setHeader("content-type", "application/json");
  response.end('{"ok":true}');
});
server.keepAliveTimeout = 60_000;
server.listen(0, "127.0.0.1", () => process.send?.(server.address()));
process.once("disconnect", () => process.exit());

// Services for tests of inbound middleware: a real server of each framework, with one handler behind the policies; and requests to it over real sockets.
import { once } from "node:events";
import { type Agent, createServer, type IncomingMessage, request, type RequestListener, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { TestContext } from "node:test";
import express from "express";
import fastify from "fastify";
import Koa from "koa";
import { type Client, type ClientOptions, createClient, definePolicy, type LayerDefinition } from "../../../src/index.ts";
import { openShim } from "../../harness/shim.ts";
import { inbound, type InboundOptions } from "../../../src/inbound.ts";

export type Handler = (request: IncomingMessage, response: ServerResponse) => unknown;

/** Each framework with its middleware; the handler has Node's own request and response. */
export const frameworks: Readonly<
  Record<string, (client: Client, handler: Handler, options?: InboundOptions) => Promise<RequestListener>>
> = {
  "node:http": (client, handler, options) => {
    const guard = inbound(client, options);
    return Promise.resolve((incoming, response) => {
      guard(incoming, response, () => handler(incoming, response)).catch(() => undefined);
    });
  },
  "express 5": (client, handler, options) => {
    const app = express();
    app.use(inbound(client, options));
    app.use((incoming, response) => handler(incoming, response));
    return Promise.resolve(app);
  },
  "fastify 5": async (client, handler, options) => {
    const app = fastify();
    const guard = inbound(client, options);
    app.addHook("onRequest", (incoming, reply, done) => void guard(incoming.raw, reply.raw, done));
    app.removeAllContentTypeParsers();
    app.addContentTypeParser("*", (_incoming, _payload, done) => done(null)); // the handler reads it
    app.all("/*", (incoming, reply) => {
      reply.hijack();
      void handler(incoming.raw, reply.raw);
    });
    await app.ready();
    return (incoming, response) => app.routing(incoming, response);
  },
  koa: (client, handler, options) => {
    const app = new Koa();
    const guard = inbound(client, options);
    app.silent = true;
    app.use((context, next) => guard(context.req, context.res, next));
    app.use(async (context) => {
      context.respond = false;
      context.res.statusCode = 200; // Koa begins with 404
      await handler(context.req, context.res);
    });
    return Promise.resolve(app.callback());
  },
};

/** Where the policies stand: within the process by its framework, or in a shim before it. */
export const places: readonly string[] = [...Object.keys(frameworks), "shim"];

export interface Service {
  readonly url: string;
  readonly port: number;
  readonly client: Client;
}

export interface ServiceOptions extends Partial<ClientOptions> {
  readonly framework?: string;
  readonly inbound?: InboundOptions;
}

/** Opens a service with these layers before the handler. */
export async function open(
  t: TestContext,
  layers: readonly LayerDefinition[],
  handler: Handler,
  options: ServiceOptions = {},
): Promise<Service> {
  const { framework = "node:http", inbound: given, ...more } = options;
  const client = createClient({ policies: [definePolicy({ name: "guard", match: [{ inbound: true }], layers })], ...more });
  if (framework === "shim") return behindShim(t, layers, handler, more);
  const make = frameworks[framework];
  if (make === undefined) throw new Error(framework);
  const server = createServer(await make(client, handler, given)).listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(async () => {
    server.close();
    server.closeAllConnections();
    await client.close();
  });
  const { port } = server.address() as AddressInfo; // the cast: it listens on a port
  return { url: `http://127.0.0.1:${port}`, port, client };
}

async function behindShim(
  t: TestContext,
  layers: readonly LayerDefinition[],
  handler: Handler,
  options: Partial<ClientOptions>,
): Promise<Service> {
  const app = createServer((incoming, response) => void handler(incoming, response)).listen(0, "127.0.0.1");
  await once(app, "listening");
  t.after(() => {
    app.close();
    app.closeAllConnections();
  });
  const { port } = app.address() as AddressInfo; // the cast: it listens on a port
  const policies = [definePolicy({ name: "guard", match: [{ inbound: true }], layers })];
  const behind = { direction: "inbound", app: { origin: new URL(`http://127.0.0.1:${port}`) }, trusts: () => false } as const;
  const { client, url } = await openShim(t, { policies, ...options }, behind);
  return { url, port: Number(new URL(url).port), client };
}

export interface Reply {
  readonly status: number;
  readonly headers: IncomingMessage["headers"];
  readonly rawHeaders: readonly string[];
  readonly trailers: IncomingMessage["trailers"];
  readonly body: Buffer;
}

export interface Ask {
  readonly method?: string;
  readonly path?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Buffer;
  readonly agent?: Agent;
  readonly signal?: AbortSignal;
}

/** One request, over a connection of its own unless an agent is given. */
export function ask(
  { port }: { readonly port: number },
  { method = "GET", path = "/", headers = {}, body, agent, signal }: Ask = {},
): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const sent = request({
      host: "127.0.0.1",
      port,
      method,
      path,
      headers: { ...headers },
      agent: agent ?? false,
      ...(signal === undefined ? {} : { signal }),
    });
    sent.once("error", reject).once("response", (response) => {
      const chunks: Buffer[] = [];
      response
        .on("data", (chunk: Buffer) => chunks.push(chunk))
        .once("error", reject)
        .once("end", () => {
          const { statusCode = 0, rawHeaders, trailers } = response;
          resolve({ status: statusCode, headers: response.headers, rawHeaders, trailers, body: Buffer.concat(chunks) });
        });
    });
    sent.end(body);
  });
}

export const post = (service: { readonly port: number }, key: string | undefined, more: Ask = {}): Promise<Reply> =>
  ask(service, {
    method: "POST",
    body: "amount=10",
    ...more,
    headers: { ...(key === undefined ? {} : { "idempotency-key": key }), ...more.headers },
  });

/** All of a request's body. */
export async function bodyOf(incoming: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of incoming) chunks.push(chunk as Buffer); // the cast: no encoding is set
  return Buffer.concat(chunks);
}

export interface Problem {
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly code?: string;
}

export const problemOf = ({ body }: Reply): Problem => JSON.parse(body.toString()) as Problem; // the cast: what a refusal has for a body

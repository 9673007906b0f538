// The proxy: an exchange becomes a call, which goes through the policy that it matches; or gets an answer at once.
import { Code } from "../../call/codes.ts";
import type { Destination, Exchange } from "../../wire/wire.ts";
import type { Ruled } from "../door.ts";
import { poolOf } from "../pool.ts";
import { answer } from "./answer.ts";
import type { Asked } from "./asked.ts";
import { ProxyCall } from "./call.ts";
import { counts } from "./common-fields.ts";
import type { Context, ProxySettings } from "./context.ts";
import { ANSWERED, LOOP, NOT_HTTP } from "./flags.ts";
import { type LocalReply, noPolicyReply, ownReply } from "./local-reply.ts";
import { newRequestId } from "./request-id.ts";
import { readRequest, type Request } from "./request.ts";
import { overSeam, RAN } from "./seam.ts";
import { matchedPath, type Site, siteOf } from "./site.ts";
import { withinItsTrace } from "./trace-context.ts";
import { isLooping } from "./via.ts";

/** Makes of exchanges what becomes of them. */
export type Proxy = (exchange: Exchange) => void;

export function newProxy(settings: ProxySettings): Proxy {
  const { via, direction, door } = settings;
  if (direction === "inbound") door.acceptInbound("before");
  const context: Context = {
    ...settings,
    pool: poolOf(settings.door),
    viaOf: { "1.0": `1.0 ${via}`, "1.1": `1.1 ${via}`, "2": `2.0 ${via}` },
  };
  return (exchange) => {
    const request = readRequest(exchange);
    const made = madeOut(context, exchange, request);
    if ("error" in made) return refuse(context, exchange, request, made);
    const start = (): void => new ProxyCall(context, exchange, made).start(made.trusted);
    if (made.to.tunnel !== true) return withinItsTrace(request, start);
    // HTTP that comes through it is served as exchanges of its own; only what nobody can look into is a call itself
    const open = made.ruled !== undefined || settings.allowAny;
    const refused = (): void => refuse(context, exchange, request, noPolicyReply(exchange.head.authority));
    return exchange.accept(["via", context.viaOf[exchange.version]], open ? start : refused);
  };
}

/** What the exchange asks for, or the answer that it gets at once. */
function madeOut(context: Context, exchange: Exchange, request: Request): Asked | LocalReply {
  const { app, trusts, via, allowAny } = context;
  const { head, isGrpc } = request;
  if (isLooping(request.via, via)) return ownReply(508, "proxy_loop_detected", "the request has come by here before", LOOP, Code.INTERNAL);
  if (request.maxForwards === 0 && counts(request)) return traced(request);
  const trusted = trusts(exchange.connection);
  const version = isGrpc ? "2" : "1.1";
  const over = trusted && app === undefined ? overSeam(context, request) : undefined;
  if (over !== undefined && over !== RAN) {
    if ("error" in over) return over;
    const { far, ruled, site } = over;
    const before = { ...request, previousAttempts: 0 }; // the process has counted them
    return { request: before, target: far.target, to: site.to[version], ruled, trusted, far };
  }
  const isTunnel = head.method === "CONNECT" && head.upgrade === undefined;
  if (isTunnel && app !== undefined) return ownReply(405, "http_request_denied", "tunnels are for calls that go out", NOT_HTTP);
  const site = siteOf(isTunnel ? "https" : head.scheme, head.authority);
  if (site === undefined) return ownReply(400, "http_request_error", "the request names no host that is one", NOT_HTTP);
  const ruled = over === RAN ? undefined : ruledFor(context, request, site);
  if (app !== undefined) return { request, target: app.origin.host, to: { ...app, version }, ruled, trusted };
  if (isTunnel && leadsNowhere(context, site, trusted)) return noPolicyReply(site.host);
  if (isTunnel) return { request, target: site.target, to: tunnelTo(head.authority), ruled, trusted };
  if (ruled === undefined && over !== RAN && !allowAny) return noPolicyReply(site.host);
  return { request, target: site.target, to: site.to[version], ruled, trusted };
}

/**
 * Nothing that may come through the tunnel can go on. From a trusted client, that may be the calls of a process that has run the layers itself, to any host; but
 * not to the port of TLS, which nobody can look into.
 */
const leadsNowhere = ({ door, allowAny }: Context, { host }: Site, trusted: boolean): boolean =>
  !allowAny && (!trusted || host.endsWith(":443")) && !door.serves(host);

/** The other end of a tunnel: bytes are all that goes there. */
const tunnelTo = (authority: string): Destination => ({ origin: new URL(`http://${authority}`), version: "1.1", tunnel: true });

/** The policy that the call goes through. */
function ruledFor({ door, direction }: Context, { head, method, isGrpc }: Request, { host }: Site): Ruled | undefined {
  return isGrpc ? door.findRpc(host, method, direction) : door.find(host, matchedPath(head.path), method, direction);
}

/** The answer of the last proxy on the way of an OPTIONS or a TRACE (RFC 9110, 7.6.2): a TRACE is told what it asked, without its secrets. */
function traced({ head }: Request): LocalReply {
  if (head.method === "OPTIONS") return { ...ownReply(200, "proxy_internal_response", "", ANSWERED), fields: [] };
  const lines = [`TRACE ${head.path} HTTP/1.1`, `host: ${head.authority}`];
  for (let at = 0; at + 1 < head.fields.length; at += 2) {
    const [name = "", value = ""] = [head.fields[at], head.fields[at + 1]];
    if (!SECRET.test(name)) lines.push(`${name}: ${value}`);
  }
  const body = `${lines.join("\r\n")}\r\n\r\n`;
  return { ...ownReply(200, "proxy_internal_response", body, ANSWERED), fields: ["content-type", "message/http"], message: "" };
}

const SECRET = /^(?:authorization|cookie|proxy-authorization)$/i;

function refuse(context: Context, exchange: Exchange, request: Request, reply: LocalReply): void {
  const began = context.door.env.now();
  const requestId = request.requestId ?? newRequestId();
  const { status, bytes } = answer(exchange, request, context, requestId, reply);
  if (context.onOver === undefined) return;
  const tookMs = context.door.env.now() - began;
  const ended = { why: reply.why, status, sent: bytes, code: request.isGrpc ? reply.code : undefined, serviceMs: undefined, tookMs };
  context.onOver({ exchange, request, requestId, record: undefined, to: undefined, received: 0 }, ended);
}

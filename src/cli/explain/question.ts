// What explain is asked: a call, as its words give it, or a policy by name.
import type { MatchedCall } from "../../policy/matching.ts";
import { hostKey } from "../../transports/fetch/request.ts";
import type { Words } from "../command.ts";

export interface Question {
  /** As it is repeated to the user. */
  readonly shown: string;
  /** Absent: the policy is chosen by its name. */
  readonly call?: MatchedCall;
  readonly policy?: string;
}

/** `payments.v1.Payments/Charge`. */
const RPC = /^[A-Za-z_][\w.]*\/[A-Za-z_]\w*$/;

/** A token (RFC 9110, 5.6.2). */
const METHOD = /^[\w!#$%&'*+.^`|~-]+$/;

/** The port of an RPC's address that names none, as for grpc-js. */
const RPC_PORT = 443;

/** What the words after the file ask, or what is wrong with them. */
export function questionOf({ rest: [, ...words], valueOf }: Words): Question | string {
  const policy = valueOf("policy");
  if (policy !== undefined)
    return words.length === 0 ? { shown: `work under policy ${policy}`, policy } : "--policy takes the place of a URL";
  if (words.length === 0) return "explain needs a URL, or --policy";
  if (words.length > 2) return "explain needs one URL";
  const target = words.at(-1) ?? "";
  const method = words.length === 2 ? words[0] : undefined;
  if (method !== undefined && !METHOD.test(method)) return `"${method}" is not an HTTP method`;
  const question = rpcQuestion(target) ?? httpQuestion(target, method?.toUpperCase() ?? "GET");
  if (question === undefined) return `"${target}" is neither a URL nor a gRPC method such as payments.v1.Payments/Charge`;
  if (method !== undefined && question.call !== undefined && "rpc" in question.call) return "a gRPC call has no HTTP method";
  return question;
}

function httpQuestion(target: string, method: string): Question | undefined {
  const url = URL.parse(target);
  if (url === null || (url.protocol !== "http:" && url.protocol !== "https:")) return undefined;
  return { shown: `${method} ${url.href}`, call: { host: hostKey(url), path: url.pathname, method } };
}

function rpcQuestion(target: string): Question | undefined {
  if (RPC.test(target)) return { shown: `RPC ${target}`, call: { host: "", rpc: target } };
  const url = target.startsWith("grpc://") ? URL.parse(target) : null;
  const rpc = url?.pathname.slice(1) ?? "";
  if (url === null || url.hostname === "" || !RPC.test(rpc)) return undefined;
  return { shown: `RPC ${rpc} at ${url.host}`, call: { host: `${url.hostname.toLowerCase()}:${url.port || RPC_PORT}`, rpc } };
}

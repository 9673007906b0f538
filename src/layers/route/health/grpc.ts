// Asks by gRPC's health protocol (grpc.health.v1, https://github.com/grpc/grpc/blob/master/doc/health-checking.md), over node:http2.
//
// Its two messages have one field each, so they are written and read here: grpc-js is optional, and 2 MB for a question of nine bytes.
import type { ClientHttp2Session, IncomingHttpHeaders } from "node:http2";
import type { GrpcHealth } from "./definition.ts";
import { noAnswer, type Probe, saysNo, serverName, type Verdict, well } from "./probe.ts";

const CHECK = "/grpc.health.v1.Health/Check";

/** The values of HealthCheckResponse.ServingStatus. */
const STATUSES = ["UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"] as const;

/** An answer is a few bytes. */
const MOST_BYTES = 4_096;

/** `authority`: what calls say in `:authority`; absent: the endpoint's own. */
export function grpcProbe({ service = "", authority: own }: GrpcHealth, authority: string | undefined): Probe {
  const message = framed(requestOf(service));
  return async (url, signal) => {
    const { connect } = await import("node:http2"); // loaded late: no policy without checks needs it
    if (signal.aborted) return noAnswer(signal.reason);
    const called = own ?? authority ?? url.host;
    const servername = serverName(called);
    const session = connect(url.origin, servername === undefined ? {} : { servername });
    session.unref(); // a check keeps no process alive
    try {
      return await asked(session, called, message, signal);
    } finally {
      session.destroy();
    }
  };
}

function asked(session: ClientHttp2Session, authority: string, message: Buffer, signal: AbortSignal): Promise<Verdict> {
  return new Promise((resolve) => {
    const failed = (error: unknown): void => resolve(noAnswer(signal.aborted ? signal.reason : error));
    signal.addEventListener("abort", failed, { once: true });
    session.on("error", failed); // also after the verdict, when it is destroyed
    session.once("goaway", () => failed(new Error("GOAWAY")));
    const stream = session.request({
      ":method": "POST",
      ":path": CHECK,
      ":authority": authority,
      "content-type": "application/grpc",
      te: "trailers",
      "user-agent": "premesh-health",
    });
    const parts: Buffer[] = [];
    let bytes = 0;
    let status: number | undefined;
    let grpcStatus: string | undefined;
    const read = (fields: IncomingHttpHeaders): void => {
      const value = fields["grpc-status"];
      if (typeof value === "string") grpcStatus = value;
    };
    stream.once("response", (fields) => {
      status = fields[":status"];
      read(fields);
    });
    stream.once("trailers", read);
    stream.on("data", (part: Buffer) => {
      bytes += part.byteLength;
      if (bytes <= MOST_BYTES) parts.push(part);
    });
    stream.on("error", failed);
    stream.once("close", () => {
      signal.removeEventListener("abort", failed);
      resolve(verdictOn(status, grpcStatus, Buffer.concat(parts)));
    });
    stream.end(message);
  });
}

function verdictOn(status: number | undefined, grpcStatus: string | undefined, body: Buffer): Verdict {
  if (status === undefined) return noAnswer(new Error("the stream was closed without an answer"));
  if (status !== 200) return saysNo(`status ${status}`);
  if (grpcStatus !== "0") return saysNo(`grpc-status ${grpcStatus ?? "missing"}`);
  const serving = statusIn(body);
  return serving === 1 ? well : saysNo(STATUSES[serving ?? 0] ?? "UNKNOWN");
}

/** HealthCheckRequest: field 1, the name of the service. */
function requestOf(service: string): Buffer {
  const name = Buffer.from(service);
  return name.byteLength === 0 ? name : Buffer.concat([Buffer.from([0x0a]), varint(name.byteLength), name]);
}

/** Length-prefixed, not compressed. */
function framed(message: Buffer): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(message.byteLength, 1);
  return Buffer.concat([head, message]);
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  for (let rest = value; ; rest >>>= 7) {
    bytes.push(rest > 0x7f ? (rest & 0x7f) | 0x80 : rest);
    if (rest <= 0x7f) return Buffer.from(bytes);
  }
}

/** HealthCheckResponse: field 1, a small number; proto3 leaves out a zero. `undefined`: it is no such message. */
function statusIn(body: Buffer): number | undefined {
  if (body.byteLength < 5 || body[0] !== 0 || body.readUInt32BE(1) !== body.byteLength - 5) return undefined;
  if (body.byteLength === 5) return 0;
  return body[5] === 0x08 && body.byteLength === 7 ? body[6] : undefined;
}

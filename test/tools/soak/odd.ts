// The odd requests of a soak: with bodies, with long answers, that fail or break off at the upstream, and that their callers give up.
import { type ClientHttp2Session, connect, constants } from "node:http2";
import { Pool } from "undici7";

export interface Odd {
  /** Sends the nth, and says in a word or two what came of it. */
  readonly send: (nth: number) => Promise<string>;
  readonly stop: () => Promise<void>;
}

const kinds = ["body", "body", "body", "long", "fails", "breaks", "given-up"] as const;

const BODY = 20_000;

const kindOf = (nth: number): (typeof kinds)[number] => kinds[nth % kinds.length] ?? "body";

/** `authority`: the upstream's. */
export function oddHttp1(proxy: number, authority: string, connections: number): Odd {
  const pool = new Pool(`http://127.0.0.1:${proxy}`, { connections });
  const body = Buffer.alloc(BODY, "a");
  return {
    send: async (nth) => {
      const kind = kindOf(nth);
      const asked = { path: `/${kind}`, headers: { host: authority }, method: kind === "body" ? "POST" : "GET" } as const;
      try {
        const { statusCode, body: answer } = await pool.request(kind === "body" ? { ...asked, body } : asked);
        if (kind === "given-up") {
          answer.on("error", () => undefined).destroy();
          return "given up";
        }
        await answer.dump({ limit: 1 << 20 });
        return String(statusCode);
      } catch (error) {
        return error instanceof Error ? error.message : "an error";
      }
    },
    stop: () => pool.destroy(),
  };
}

/** Streams at a time on each session. */
const STREAMS = 16;

export function oddGrpc(proxy: number, authority: string, atOnce: number): Odd {
  const sessions: ClientHttp2Session[] = [];
  const framed = Buffer.alloc(5 + BODY, "a");
  framed.writeUIntBE(BODY, 0, 5);

  function sessionAt(index: number): ClientHttp2Session {
    const found = sessions[index];
    if (found !== undefined && !found.closed && !found.destroyed) return found;
    return (sessions[index] = connect(`http://127.0.0.1:${proxy}`).on("error", () => undefined));
  }

  return {
    send: async (nth) => {
      const kind = kindOf(nth);
      const head = { ":method": "POST", ":authority": authority, ":path": `/${kind}`, "content-type": "application/grpc", te: "trailers" };
      const stream = sessionAt(nth % Math.ceil(atOnce / STREAMS)).request(head);
      let status: string | string[] | undefined;
      stream.on("response", (fields) => (status = fields["grpc-status"])).on("trailers", (fields) => (status = fields["grpc-status"]));
      stream.on("error", () => undefined).end(framed);
      if (kind === "given-up") stream.once("data", () => stream.close(constants.NGHTTP2_CANCEL));
      else stream.resume();
      await new Promise((closed) => stream.once("close", closed));
      return kind === "given-up" ? "given up" : status === undefined ? "reset" : `grpc-status ${status.toString()}`;
    },
    stop: () => {
      for (const session of sessions) session.destroy();
      return Promise.resolve();
    },
  };
}

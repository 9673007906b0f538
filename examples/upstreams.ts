// The two upstreams of the services in express/ and fastify/, and the requests that a service is played with.
import { type ExampleServer, serve } from "./server.ts";

export interface Upstream extends ExampleServer {
  /** As a policy matches it. */
  readonly host: string;
  /** How it is today. */
  mood: "well" | "flaky" | "down" | "hangs";
  /** How many requests it has seen. */
  requests: number;
  /** Settles when it sees the next request. */
  asked(): Promise<void>;
  /** Settles when a request that it has not answered is given up. */
  givenUp(): Promise<void>;
}

export interface Upstreams {
  readonly recommendations: Upstream;
  readonly payments: Upstream;
}

async function upstream(answer: unknown): Promise<Upstream> {
  const listeners: Record<"asked" | "givenUp", (() => void)[]> = { asked: [], givenUp: [] };
  const tell = (what: keyof typeof listeners): void => {
    for (const resolve of listeners[what].splice(0)) resolve();
  };
  const when = (what: keyof typeof listeners): Promise<void> => new Promise((resolve) => void listeners[what].push(resolve));
  const server = await serve((request, response) => {
    it.requests++;
    const fails = it.mood === "down" || (it.mood === "flaky" && it.requests % 2 === 1);
    response.once("close", () => {
      if (!response.writableFinished) tell("givenUp");
    });
    request.resume().once("end", () => {
      tell("asked");
      if (it.mood !== "hangs") response.writeHead(fails ? 503 : 200, { "content-type": "application/json" }).end(JSON.stringify(answer));
    });
  });
  const it: Upstream = {
    ...server,
    host: new URL(server.url).host,
    mood: "well",
    requests: 0,
    asked: () => when("asked"),
    givenUp: () => when("givenUp"),
  };
  return it;
}

export async function upstreams(): Promise<Upstreams> {
  return { recommendations: await upstream(["Dune", "Solaris"]), payments: await upstream({ charged: 10 }) };
}

/** Each call has a connection of its own: one that is kept, or was made ahead of need, would hold up the end of the service until its caller closes it. */
const headers = { connection: "close" };

/** What callers of the service see while its upstreams have good and bad days. */
export async function play(service: string, { recommendations, payments }: Upstreams): Promise<void> {
  const show = async (when: string, path: string, init?: RequestInit): Promise<void> => {
    const response = await fetch(service + path, { ...init, headers });
    const wait = response.headers.get("retry-after");
    console.log(`${when}: ${response.status} ${await response.text()}${wait === null ? "" : ` (try again in ${wait} s)`}`);
  };
  const order = { method: "POST" };

  await show("all is well", "/books/7");
  recommendations.mood = "down";
  await show("recommendations are down", "/books/7");
  payments.mood = "flaky";
  await show("payments fail every other time", "/orders", order);
  payments.mood = "down";
  await show("payments go down", "/orders", order);
  await show("and are left alone", "/orders", order);

  recommendations.mood = "hangs";
  const caller = new AbortController();
  const [asked, givenUp] = [recommendations.asked(), recommendations.givenUp()];
  const gone = fetch(`${service}/books/8`, { signal: caller.signal, headers }).catch(() => undefined);
  await asked;
  caller.abort();
  await Promise.all([gone, givenUp]);
  console.log("a caller goes away: the call to recommendations is given up too");
}

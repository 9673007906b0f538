// client.run: any work under a policy, not only fetch: a query, an SDK call, a file on a network drive.
import { breaker, createClient, definePolicy, PolicyError, retry, timeout } from "../src/index.ts";

const client = createClient({
  policies: [
    definePolicy({
      name: "database",
      layers: [timeout("1s"), retry({ on: ["reset"] }), breaker({ trip: { consecutive: 5 } }), timeout("100ms")],
    }),
  ],
});

// Stands for a driver: fails once, and heeds the signal it is given.
function query(sql: string, attempt: number, signal: AbortSignal): Promise<string> {
  if (attempt === 1) return Promise.reject(new Error("deadlock detected"));
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, sql.includes("slow") ? 10_000 : 5, "3 rows");
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(new Error("query cancelled"));
    });
  });
}

let attempts = 0;
const rows = await client.run(
  "database",
  ({ signal, attempt }) => {
    attempts = attempt;
    return query("select * from books", attempt, signal);
  },
  { idempotent: true },
);
console.log(`${rows} after ${attempts} attempts`);

try {
  await client.run("database", ({ signal, attempt }) => query("select slow()", attempt + 1, signal), { idempotent: true });
} catch (error) {
  if (!(error instanceof PolicyError)) throw error;
  console.log(`${error.code} after ${error.attempts} attempts: ${error.message}`);
}

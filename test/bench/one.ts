// Runs one bench and sends its rows to `main.ts`.
import type { Bench } from "./kit.ts";

const [name = ""] = process.argv.slice(2);
const { bench } = (await import(`./${name}.ts`)) as { bench: Bench }; // the cast: main.ts names files that export one
const rows = await bench.run();
process.send?.({ title: bench.title, how: bench.how, rows }, () => process.exit());

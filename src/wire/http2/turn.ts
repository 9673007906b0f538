// Turn: what was gathered in one turn of the event loop leaves together, after all that has come in it was read.

interface Gathering {
  flush(): void;
}

let waiting: Gathering[] = [];

export function flushSoon(one: Gathering): void {
  if (waiting.length === 0) setImmediate(flushAll);
  waiting.push(one);
}

function flushAll(): void {
  const all = waiting;
  waiting = [];
  for (const one of all) one.flush();
}

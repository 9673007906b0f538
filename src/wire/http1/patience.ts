// Patience: how long a client may take for what it sends, and for what it is sent.
import type { Deadlines, Waiting } from "../deadlines.ts";
import type { Limits } from "../limits.ts";

export interface Patience extends Waiting {
  /** Waits so long for the next bytes, in place of what it waited for; Infinity: for nothing. */
  read(ms: number): void;
  /** A body of this length (below 0: it is not known) is asked for, from now on. */
  body(length: number): void;
  /** So many bytes of it have come. */
  came(bytes: number): void;
  /** Waits for what was sent to be taken, or no longer. */
  write(stalled: boolean): void;
  /** Whether what is waited for longest is to be taken, not sent. */
  stalled(): boolean;
}

export function newPatience({ headMs, bodyMs, bodyRate, stallMs }: Limits, deadlines: Deadlines, late: () => void): Patience {
  let readDue = deadlines.after(headMs);
  let writeDue = Infinity;
  let sized = false;
  let asked = 0;
  let received = 0;

  function set(read: number, write: number): void {
    readDue = read;
    writeDue = write;
    patience.dueAt = Math.min(read, write);
  }

  const patience: Patience = {
    dueAt: readDue,
    late,
    read: (ms) => set(ms === Infinity ? ms : deadlines.after(ms), writeDue),
    body(length) {
      sized = length > 0;
      asked = deadlines.after(0);
      received = 0;
      set(deadlines.after(bodyMs), writeDue);
    },
    came(bytes) {
      received += bytes;
      const silent = deadlines.after(bodyMs);
      // Whoever tells a length has the body at hand; what is made as it goes tells none.
      set(sized ? Math.min(silent, asked + bodyMs + (received * 1_000) / bodyRate) : silent, writeDue);
    },
    write: (stalled) => set(readDue, stalled ? deadlines.after(stallMs) : Infinity),
    stalled: () => writeDue <= readDue,
  };
  return patience;
}

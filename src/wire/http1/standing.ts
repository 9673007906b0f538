// Standing: counts connections from the moment on when they are dialled until they are closed, whatever they have become meanwhile.
import type { Dial } from "../dial.ts";

export interface Standing {
  /** Makes connections, and counts them. */
  readonly dial: Dial;
  /** Resolves when there are none. */
  gone(): Promise<void>;
}

export function newStanding(dial: Dial): Standing {
  let count = 0;
  let emptied: (() => void) | undefined;

  function left(): void {
    if (--count === 0) emptied?.();
  }

  return {
    dial: async (to) => {
      count++;
      try {
        const dialled = await dial(to);
        if (dialled.socket.closed) left();
        else dialled.socket.once("close", left);
        return dialled;
      } catch (error) {
        left();
        throw error;
      }
    },
    gone: () => {
      const { promise, resolve } = Promise.withResolvers<void>();
      emptied = resolve;
      if (count === 0) resolve();
      return promise;
    },
  };
}

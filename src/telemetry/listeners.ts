// Listeners: functions of the user's that hear events. What one throws touches neither the call nor the others.
import type { TelemetryEvent } from "./events.ts";

type Listener = (event: TelemetryEvent) => unknown;

export interface Listeners {
  readonly any: () => boolean;
  /** Gives the function that takes it off again. */
  readonly add: (listener: Listener) => () => void;
  readonly tell: (event: TelemetryEvent) => void;
}

export function newListeners(): Listeners {
  /** Each addition by its own key, so that a function added twice hears twice, and can be taken off twice. */
  let added: readonly { readonly listener: Listener }[] = [];
  const warned = new WeakSet<Listener>();

  function failed(listener: Listener, error: unknown): void {
    if (warned.has(listener)) return;
    warned.add(listener);
    const reason = error instanceof Error ? (error.stack ?? error.message) : String(error);
    process.emitWarning(`a listener given to client.on threw; the call went on, and further errors of it are not shown: ${reason}`, {
      type: "PremeshWarning",
      code: "PREMESH_LISTENER_THREW",
    });
  }

  return {
    any: () => added.length > 0,
    add: (listener) => {
      const one = { listener };
      added = [...added, one];
      return () => {
        added = added.filter((other) => other !== one);
      };
    },
    tell: (event) => {
      for (const { listener } of added) {
        try {
          const result = listener(event);
          if (result instanceof Promise) result.catch((error: unknown) => failed(listener, error));
        } catch (error) {
          failed(listener, error);
        }
      }
    },
  };
}

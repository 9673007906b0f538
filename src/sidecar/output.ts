// Output: lines for a log, gathered and written together; it never holds the process up, and what a stuck reader does not take is dropped and counted.
import type { Writable } from "node:stream";
import { setIdleTimer, type Timers } from "../call/clock.ts";

export interface Output {
  /** Takes one line, without its line end. */
  readonly write: (line: string) => void;
  /** Hands over what is gathered; resolves when the stream has taken it, has failed, or after so many milliseconds. */
  readonly flush: (patienceMs: number) => Promise<void>;
  /** Hands over what is gathered and closes the stream; else as {@link Output.flush}. */
  readonly end: (patienceMs: number) => Promise<void>;
  /** How many lines were dropped: nobody took them, or the stream has failed. */
  readonly dropped: () => number;
}

export interface OutputOptions {
  readonly timers: Timers;
  /** How many characters wait at most, in the stream and before it. Default 4 Mi. */
  readonly most?: number;
  /** How long lines are gathered, in milliseconds. Default 100. */
  readonly gatherMs?: number;
}

/** Beyond it, what is gathered is written without waiting for more. */
const GATHERED = 16_384;

export function newOutput(stream: Writable, { timers, most = 4 * 1_048_576, gatherMs = 100 }: OutputOptions): Output {
  let gathered = "";
  let lines = 0;
  let dropped = 0;
  let timer: unknown;
  let broken = false;

  // A reader that is gone (EPIPE) or a full disk is no reason to stop serving.
  stream.on("error", () => (broken = true));

  const hand = (taken?: () => void): void => {
    timers.clearTimer(timer);
    timer = undefined;
    const text = gathered;
    const count = lines;
    gathered = "";
    lines = 0;
    if (broken || stream.destroyed || stream.writableEnded) {
      dropped += count;
      taken?.();
    } else if (text === "" && taken === undefined) return;
    else
      stream.write(text, (error) => {
        if (error !== null && error !== undefined) dropped += count;
        taken?.();
      });
  };

  const flush = (patienceMs: number): Promise<void> =>
    new Promise((resolve) => {
      const late = timers.setTimer(resolve, patienceMs);
      hand(() => {
        timers.clearTimer(late);
        resolve();
      });
    });

  return {
    write: (line) => {
      if (broken || gathered.length + stream.writableLength + line.length > most) {
        dropped++;
        return;
      }
      gathered += `${line}\n`;
      lines++;
      if (gathered.length >= GATHERED) hand();
      else timer ??= setIdleTimer(timers, hand, gatherMs);
    },
    flush,
    end: async (patienceMs) => {
      await flush(patienceMs);
      stream.destroy();
    },
    dropped: () => dropped,
  };
}

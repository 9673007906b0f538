// Keeping: writes down what goes to whoever takes a response, and takes the rest of it when nobody does any more.
import type { Recording } from "../inbound/recording.ts";
import type { Fields } from "../../wire/wire.ts";
import type { Sink } from "./relay.ts";
import type { Response } from "./response.ts";

export interface Keeping {
  /** The same sink, with what it takes written down. */
  through(sink: Sink): Sink;
  /** Takes what is left, for the record alone. `tooMuch`: there is more of it than can be kept. */
  alone(tooMuch: () => void): Sink;
}

/** `ended`: there is no more than the head. */
export function newKeeping(recording: Recording, most: number, { status, plain }: Response, ended: boolean): Keeping {
  recording.head(status, pairs(plain));
  if (ended) recording.end();
  let bytes = 0;

  const through = (sink: Sink): Sink => ({
    body: (chunk) => {
      bytes += chunk.byteLength;
      recording.write(chunk, undefined);
      return sink.body(chunk);
    },
    ended: (trailers) => {
      recording.trailers(pairs(trailers));
      recording.end();
      sink.ended(trailers);
    },
    halfClosed: () => {
      recording.over();
      sink.halfClosed();
    },
    cut: (why) => {
      recording.over();
      sink.cut(why);
    },
  });

  return {
    through,
    alone: (tooMuch) =>
      through({
        body: () => {
          if (bytes > most) {
            recording.end(); // of an answer that is too long, the end makes no difference
            tooMuch();
          }
          return true;
        },
        ended: nothing,
        halfClosed: nothing,
        cut: nothing,
      }),
  };
}

const nothing = (): void => undefined;

/** Names in lower case. */
function pairs(fields: Fields): (readonly [name: string, value: string])[] {
  const all: (readonly [string, string])[] = [];
  for (let at = 0; at + 1 < fields.length; at += 2) all.push([(fields[at] ?? "").toLowerCase(), fields[at + 1] ?? ""]);
  return all;
}

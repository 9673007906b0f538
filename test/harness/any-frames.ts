// Any frames: sequences of HTTP/2's frames at random, some of whose bytes may be changed, cut into pieces.
import fc from "fast-check";
import { DATA, END_HEADERS, END_STREAM, frame, HEADERS, number, setting, SETTINGS } from "./raw-h2.ts";

const id = fc.constantFrom(0, 1, 1, 1, 3, 3, 5, 2, 7, 0x7fffffff);
const bytes = fc.uint8Array({ maxLength: 40 });

/** Frames that mean something, as often as not at the wrong time, and frames that mean nothing. */
const anyFrame = (heads: readonly Buffer[]): fc.Arbitrary<Buffer> =>
  fc.oneof(
    fc
      .tuple(fc.constantFrom(...heads), id, fc.constantFrom(0, END_STREAM, END_HEADERS, END_HEADERS | END_STREAM))
      .map(([head, on, flags]) => frame(HEADERS, flags, on, head)),
    fc.tuple(bytes, id, fc.constantFrom(0, END_STREAM, 8, 9)).map(([body, on, flags]) => frame(DATA, flags, on, body)),
    fc
      .tuple(fc.constantFrom(3, 8), id, fc.constantFrom(0, 1, 5, 7, 8, 11, 65_535, 0x7fffffff, 0xffffffff))
      .map(([type, on, value]) => frame(type, 0, on, number(value))),
    fc
      .tuple(fc.integer({ min: 0, max: 9 }), fc.constantFrom(0, 1, 4_096, 16_384, 65_535, 0xffffffff))
      .map(([what, value]) => frame(SETTINGS, 0, 0, setting(what, value))),
    fc
      .tuple(fc.integer({ min: 0, max: 12 }), fc.integer({ min: 0, max: 255 }), id, bytes)
      .map(([type, flags, on, body]) => frame(type, flags, on, body)),
  );

/** The frames in a row, some bytes of which may be changed, cut into pieces. */
export const anyStream = (heads: readonly Buffer[]): fc.Arbitrary<readonly Buffer[]> =>
  fc
    .tuple(
      fc.array(anyFrame(heads), { maxLength: 30 }),
      fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), { maxLength: 3 }),
      fc.array(fc.nat(), { maxLength: 4 }),
      fc.boolean(),
    )
    .map(([frames, changes, cuts, mutated]) => {
      const all = Buffer.concat(frames);
      if (mutated && all.length > 0) for (const [at, value] of changes) all[at % all.length] = value;
      const ends = [...cuts.map((cut) => cut % (all.length + 1)), all.length].toSorted((a, b) => a - b);
      return ends.map((end, n) => all.subarray(ends[n - 1] ?? 0, end));
    });

/** Timers and sockets that are at work. */
export const atWork = (): number => process.getActiveResourcesInfo().filter((one) => /Timeout|TCP|Http2/.test(one)).length;

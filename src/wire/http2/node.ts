// Node: what sessions of node:http2 are made with on both sides, and what they are kept from.
import type { Http2Session, Settings } from "node:http2";
import type { Limits } from "../limits.ts";
import { ENHANCE_YOUR_CALM, FLOW_CONTROL_ERROR, isGarbage, PROTOCOL_ERROR, STREAM_CLOSED } from "./codes.ts";

/** What stands beside the fields of a head in a header list. */
const PSEUDO_FIELDS = 6;

/** What both sides have in common. The types do not know all of it. */
export function nodeOptions(
  { fields, headBytes, streamWindow }: Limits,
  settings: Settings,
): Record<string, unknown> & { settings: Settings } {
  return {
    settings: { enablePush: false, initialWindowSize: streamWindow, maxHeaderListSize: headBytes, ...settings },
    // a stream with more is reset with ENHANCE_YOUR_CALM
    maxHeaderListPairs: fields + PSEUDO_FIELDS,
    // heads are bounded where they come in; this bound of Node's would end the connection
    maxSendHeaderBlockLength: 4 * headBytes,
    // what Node thinks single is passed on as it came
    strictSingleValueFields: false,
    // the windows bound what is held; this bound of Node's refuses streams by what others hold
    maxSessionMemory: 1_000,
    // Node ends a connection for good after so many streams beyond its limit; innocent clients send them before they know it
    maxSessionRejectedStreams: 4_096,
    // Node's own limit says INTERNAL_ERROR, and knows no answer from an attack; ours is in its place
    streamResetBurst: 1_000_000,
    streamResetRate: 1_000_000,
  };
}

/** nghttp2's words: too many frames whose answers are not taken (FLOODED), SETTINGS with too many entries, too many CONTINUATIONs. */
const FLOODS = new Set<unknown>([-904, -537, -906]);

/** Below it stand nghttp2's words for what has to end a connection (NGHTTP2_ERR_FATAL); above it frames that are wrong. */
const FATAL = -900;

/** What nghttp2 resets a stream with for a frame that is wrong. */
const BLAMED = new Set([PROTOCOL_ERROR, FLOW_CONTROL_ERROR, STREAM_CLOSED]);

/**
 * Changes what Node makes of frames that are wrong. Floods end the connection with ENHANCE_YOUR_CALM; Node says INTERNAL_ERROR. What is the fault of one stream,
 * such as a body that is longer than it says, ends that stream alone; Node ends the connection, and with it everybody else's streams. Gives what is to be told
 * the code of each stream that is gone, and says whether it is for a wrong frame.
 */
export function tame(session: Http2Session): (code: number) => boolean {
  const destroy = session.destroy.bind(session);
  let blamed = 0;
  session.destroy = (error?: Error | number, code?: number): void => {
    const errno = error instanceof Error && "errno" in error ? error.errno : undefined;
    const flood = FLOODS.has(errno) || (error instanceof Error && "code" in error && error.code === "ERR_HTTP2_TOO_MANY_INVALID_FRAMES");
    // the casts: the types know an error or a code, Node takes either
    if (!isGarbage(error) || flood || typeof errno !== "number" || errno < FATAL)
      return destroy(error as Error, flood ? ENHANCE_YOUR_CALM : code);
    const before = blamed;
    setImmediate(() => {
      if (blamed === before) destroy(error as Error, PROTOCOL_ERROR); // nghttp2 has reset no stream for it
    });
  };
  return (code) => {
    if (!BLAMED.has(code)) return false;
    blamed++;
    return true;
  };
}

// Log: what the shim says of itself, a line each, as text or JSON.
import type { Output } from "./output.ts";

export type LogLevel = "info" | "warn" | "error";

export type LogFormat = "text" | "json";

/** `event` names the sort of line, for machines; `detail` is plain JSON. */
export type Log = (level: LogLevel, event: string, message: string, detail?: Readonly<Record<string, unknown>>) => void;

/** `wall`: the time of day, in milliseconds since 1970. */
export function newLog(output: Pick<Output, "write">, format: LogFormat, wall: () => number): Log {
  return (level, event, message, detail = {}) =>
    output.write(
      format === "json"
        ? JSON.stringify({ time: new Date(wall()).toISOString(), level, event, message, ...detail })
        : `premesh: ${level === "info" ? "" : `${level}: `}${oneLine(message)}`,
    );
}

/** What a peer or a file has put into a message does not begin lines of its own, nor move the cursor. */
const oneLine = (text: string): string =>
  text.replaceAll(/\p{Cc}/gu, (character) =>
    character === "\n" || character === "\t" ? " " : `\\u${character.codePointAt(0)?.toString(16).padStart(4, "0")}`,
  );

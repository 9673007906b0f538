// Caller frames: layers hand outcomes on through promises that V8's asynchronous stack does not follow, so an error would not say who called.

/** Adds the lines of the stack that are above the running function, where the error's own stack has ended before them. */
export function addCallerFrames(error: unknown, running: (...all: never[]) => unknown): void {
  if (!(error instanceof Error) || typeof error.stack !== "string") return;
  const here: { stack?: string } = {};
  Error.captureStackTrace(here, running);
  const frames = here.stack?.split("\n").filter((line) => line.startsWith("    at async ")) ?? [];
  // one error may be thrown again and again, by a mock or a shared promise
  if (frames[0] === undefined || error.stack.includes(frames[0])) return;
  try {
    error.stack = [error.stack, ...frames].join("\n");
  } catch {
    // a frozen error stays as it is
  }
}

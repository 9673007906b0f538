// Observe: writes down all that a caller can see of a response or an error, so that two of them can be compared.

export type Observed = unknown;

/** The classes of one fetch implementation; the runtime's own, or those of a library. */
export interface Kit {
  readonly Request: typeof Request;
  readonly Response: typeof Response;
  readonly Headers: typeof Headers;
  readonly FormData: typeof FormData;
}

/** fetch, for callers that may pass anything. */
export type AnyFetch = (...all: unknown[]) => Promise<Response>;

/** Text without what differs from one run to the next by itself. */
export function steady(text: string): string {
  return text
    .replaceAll(/(?<=127\.0\.0\.1|localhost):\d+/g, ":PORT")
    .replaceAll(/-{2,}(formdata-[a-z]+-|WebKitFormBoundary)[\w-]+/gi, "BOUNDARY");
}

/** The head of a response, and what it is. */
export function head(response: Response, kit: Kit): Observed {
  return {
    status: response.status,
    statusText: response.statusText,
    ok: response.ok,
    url: steady(response.url),
    redirected: response.redirected,
    type: response.type,
    headers: [...response.headers].map(([name, value]) => [name, steady(value)]),
    cookies: response.headers.getSetCookie(),
    body: response.body === null ? "null" : response.body.constructor.name,
    locked: response.body?.locked,
    bodyUsed: response.bodyUsed,
    native: response instanceof kit.Response,
    tag: Object.prototype.toString.call(response),
    keys: Object.keys(response),
    immutable: failureIn(() => response.headers.set("x-new", "1")),
  };
}

/** The response whole; its body is read. */
export async function whole(response: Response, kit: Kit): Promise<Observed> {
  const before = head(response, kit);
  const body = await settle(async () => {
    const bytes = Buffer.from(await response.arrayBuffer());
    return bytes.length > 4_096 ? `${bytes.length} bytes` : steady(bytes.toString("latin1"));
  });
  return { before, body, bodyUsed: response.bodyUsed, again: await settle(() => response.text()) };
}

/** What a step gave or failed with. */
export async function settle(step: () => unknown): Promise<Observed> {
  let result: unknown;
  try {
    result = step();
  } catch (error) {
    return { threw: failure(error) };
  }
  try {
    return { gave: await result };
  } catch (error) {
    return { rejected: failure(error) };
  }
}

function failureIn(step: () => void): Observed {
  try {
    step();
    return "none";
  } catch (error) {
    return failure(error);
  }
}

/** An error, with its causes. */
export function failure(error: unknown, depth = 0): Observed {
  if (!(error instanceof Error)) return { thrown: String(error) };
  const { code, cause } = error as { code?: unknown; cause?: unknown }; // the cast: any error can be asked
  return {
    name: error.name,
    message: steady(error.message),
    class: error.constructor.name,
    code,
    cause: cause === undefined || depth > 4 ? undefined : failure(cause, depth + 1),
  };
}

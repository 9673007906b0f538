// Services: what the definitions of gRPC services say of their methods, in the shapes that code generators give.

/** What is known of a method. */
export interface MethodFacts {
  /** `idempotency_level` is IDEMPOTENT or NO_SIDE_EFFECTS. */
  readonly idempotent: boolean;
  /** The server answers with a stream; `undefined`: the definition does not say. */
  readonly responseStream: boolean | undefined;
}

/** One method, as some generator describes it. */
interface Described {
  readonly name?: unknown;
  readonly path?: unknown;
  readonly responseStream?: unknown;
  readonly serverStreaming?: unknown;
  readonly methodKind?: unknown;
  readonly options?: Readonly<Record<string, unknown>> | undefined;
  readonly idempotency?: unknown;
}

/**
 * The definition of a service: of `@grpc/proto-loader` or grpc-js (`PaymentsClient.service`), ts-proto (`PaymentsService`, `PaymentsDefinition`), protobuf-ts
 * (`ServiceType`) or protobuf-es (`DescService`).
 */
export type ServiceShape = object;

/** Facts by method: `payments.v1.Payments/Charge`. */
export function methodFacts(services: readonly ServiceShape[]): ReadonlyMap<string, MethodFacts> {
  const facts = new Map<string, MethodFacts>();
  for (const service of services) {
    // the cast: each shape has some of these
    const { typeName, fullName, methods } = service as { typeName?: unknown; fullName?: unknown; methods?: unknown };
    const name = typeof typeName === "string" ? typeName : typeof fullName === "string" ? fullName : undefined;
    const described = Object.values(typeof methods === "object" && methods !== null && name !== undefined ? methods : service);
    for (const method of described as readonly unknown[]) {
      if (typeof method !== "object" || method === null) continue;
      const one = method as Described; // the cast: only read
      const path = typeof one.path === "string" ? one.path.replace(/^\//, "") : `${String(name)}/${String(one.name)}`;
      facts.set(path, { idempotent: isIdempotent(one), responseStream: streams(one) });
    }
  }
  return facts;
}

/** The words and the numbers of google.protobuf.MethodOptions.IdempotencyLevel. */
const IDEMPOTENT = new Set<unknown>(["NO_SIDE_EFFECTS", "IDEMPOTENT", 1, 2]);

const isIdempotent = ({ options, idempotency }: Described): boolean =>
  IDEMPOTENT.has(options?.["idempotency_level"] ?? options?.["idempotencyLevel"] ?? idempotency);

function streams({ responseStream, serverStreaming, methodKind }: Described): boolean | undefined {
  const said = responseStream ?? serverStreaming ?? (typeof methodKind === "string" ? /^(?:server|bidi)_/.test(methodKind) : undefined);
  return typeof said === "boolean" ? said : undefined;
}

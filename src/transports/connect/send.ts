// Sends one attempt over the transport that is wrapped, and gives its outcome.
import type { AttemptSpan, Call } from "../../call/call.ts";
import { abortedOutcome, misuseOutcome, rpcFailure } from "../../call/classify.ts";
import { Code } from "../../call/codes.ts";
import { newEnd, whenEnded } from "../../call/end.ts";
import type { Env } from "../../call/env.ts";
import type { Failure, Outcome } from "../../call/outcome.ts";
import { remember } from "../../call/record.ts";
import { Abort } from "../../call/signal.ts";
import { PolicyError } from "../../policy/error.ts";
import {
  Code as ConnectCode,
  ConnectError,
  type ConnectResponse,
  type Input,
  type Request,
  sendStream,
  sendUnary,
  type StreamResponse,
  type Transport,
  type UnaryResponse,
} from "./connect-es.ts";
import { refusalError } from "./edge.ts";
import { failureOf } from "./failure.ts";
import type { ConnectPayload } from "./payload.ts";
import type { Sending } from "./replay.ts";
import { type Begun, begun, watched } from "./response.ts";

/** Which attempt it is, as gRPC says it on the wire: https://github.com/grpc/proposal/blob/master/A6-client-retries.md */
const ATTEMPTS_FIELD = "grpc-previous-rpc-attempts";

/** A transport that ends an attempt by its own timer, so close to the deadline, leaves it to the timer that has set the deadline to say why. */
const SAME_MOMENT_MS = 5;

/** How long it waits for that one, which a slow clock may hold back. */
const LATE_MS = 50;

const realSetTimeout = setTimeout;

/** The transport to another origin than the caller's; `undefined`: there is none. */
export type Elsewhere = (origin: string) => Transport | undefined;

type NowEnv = Pick<Env, "now">;

export function connectSender(transport: Transport, elsewhere: Elsewhere, env: NowEnv): (call: Call) => Promise<Outcome<unknown>> {
  return (call) => {
    if (call.signal?.aborted === true) return Promise.resolve(abortedOutcome(call.signal));
    const { messages } = call.payload as ConnectPayload; // the cast: this sender is only put on calls with this payload
    if (messages?.whole === false) return Promise.resolve(gone());
    const there = call.endpoint?.key ?? call.origin;
    const to = there === undefined ? transport : elsewhere(there);
    return to === undefined ? Promise.resolve(nowhere(call, there)) : new Attempt(call, to, env).outcome;
  };
}

const gone = (): Failure<never> =>
  misuseOutcome(new ConnectError("premesh: the messages of this call were not kept, so it cannot be sent again", ConnectCode.Internal));

function nowhere({ record: { policy } }: Call, there = ""): Failure<never> {
  const what = `policy ${policy} sends calls to ${there}, and premeshTransport has no transport to it`;
  const next = "give it elsewhere: (baseUrl) => createGrpcTransport({ baseUrl })";
  return misuseOutcome(new PolicyError("ERR_PREMESH_INVALID_OPTIONS", `${what}: ${next}`, { policy }));
}

/** A class, since an attempt has a dozen things that its callbacks share. */
class Attempt {
  readonly outcome: Promise<Outcome<ConnectResponse>>;
  readonly #call: Call;
  readonly #payload: ConnectPayload;
  readonly #span: AttemptSpan | undefined;
  /** What the transport hears: the caller, the layers, and us. It follows the caller's signal for this attempt only. */
  readonly #heard: Abort;
  readonly #resolve: (outcome: Outcome<ConnectResponse>) => void;
  /** The messages of a stream. */
  #sending: Sending<Input> | undefined = undefined;
  #settled = false;

  constructor(call: Call, transport: Transport, env: NowEnv) {
    const { record, tracer } = call;
    const { promise, resolve } = Promise.withResolvers<Outcome<ConnectResponse>>();
    this.outcome = promise;
    this.#resolve = resolve;
    this.#call = call;
    this.#payload = call.payload as ConnectPayload; // the cast: this sender is only put on calls with this payload
    this.#span = tracer?.start(call, {});
    this.#heard = new Abort(call.signal);
    this.#heard.addEventListener("abort", this);
    record.attempts++;
    record.sent++;
    this.#payload.begun(call);
    // a response to one request is there with its head, so what a timeout gives the head is all the time there is
    const deadline = this.#payload.messages === undefined ? call.deadline : call.endBy;
    const leftMs = deadline - env.now();
    const request: Request = {
      ...this.#payload.request,
      ...(deadline === Number.POSITIVE_INFINITY || isWritten(this.#payload) ? {} : { timeoutMs: Math.max(1, Math.ceil(leftMs)) }),
      signal: this.#heard.native(),
      header: headerOf(call, this.#payload.header, this.#span),
    };
    const failed = (error: unknown): void => this.#failed(error, deadline - env.now());
    try {
      this.#send(transport, request, failed);
    } catch (error) {
      failed(error); // what throws at once fails like what fails later: nothing may be thrown past the layers
    }
  }

  #send(transport: Transport, request: Request, failed: (error: unknown) => void): void {
    const { messages, input } = this.#payload;
    const within = <T>(send: () => T): T => (this.#span === undefined ? send() : this.#span.within(send));
    if (messages === undefined) {
      // the cast: a payload has one of the two
      void within(() => sendUnary(transport, request, input as NonNullable<typeof input>)).then(
        (response) => this.#answered(response),
        failed,
      );
    } else {
      const sending = (this.#sending = messages.open());
      void begun(within(() => sendStream(transport, request, sending))).then((response) => this.#began(response), failed);
    }
  }

  #answered(response: UnaryResponse): void {
    this.#settle({ ok: true, response, head: response.header });
  }

  #began(stream: Begun): void {
    const { record } = this.#call;
    const heard = this.#heard;
    const abandon = (): void => heard.abort(new ConnectError("nobody reads the response", ConnectCode.Canceled));
    const end = newEnd();
    const response: StreamResponse = watched(stream, {
      end,
      abandon,
      seen: (message) => remember(message, record),
      worded: (error) => {
        const told = heard.reason instanceof PolicyError ? refusalError(heard.reason, Code.DEADLINE_EXCEEDED, "timeout") : error;
        remember(told, record);
        return told;
      },
    });
    this.#settle({ ok: true, response, head: response.header, end, discard: abandon });
  }

  #failed(error: unknown, leftMs: number): void {
    const outcome = this.#judged(error);
    if (outcome.code === Code.DEADLINE_EXCEEDED && leftMs <= SAME_MOMENT_MS) realSetTimeout(() => this.#settle(outcome), LATE_MS);
    else this.#settle(outcome);
  }

  #judged(error: unknown): Failure<never> {
    if (this.#payload.messages?.failed === true) return misuseOutcome(error);
    return this.#sending?.lost === true ? { ...misuseOutcome(error), code: Code.CANCELLED } : failureOf(error); // a hedge takes that for what it is
  }

  /** The caller, a layer or the caller's deadline has ended it. It settles at once, without waiting for the transport to say so. */
  handleEvent(): void {
    const { signal } = this.#call;
    const reason: unknown = this.#heard.reason;
    const late = reason instanceof ConnectError && reason.code === ConnectCode.DeadlineExceeded;
    this.#settle(late ? rpcFailure(Code.DEADLINE_EXCEEDED, "answer", reason) : abortedOutcome(signal, true));
  }

  #settle(outcome: Outcome<ConnectResponse>): void {
    const heard = this.#heard;
    if (this.#settled) return; // what comes late has heard the abort, and ends by itself
    this.#settled = true;
    heard.removeEventListener("abort", this);
    if (!outcome.ok && !outcome.sent) this.#call.record.sent--;
    if (this.#sending !== undefined) {
      if (outcome.ok) this.#payload.messages?.commit(this.#sending);
      else this.#sending.close();
    }
    whenEnded(outcome.end, () => heard.unfollow());
    this.#span?.end(outcome);
    this.#resolve(outcome);
  }
}

/** The caller has told the server its time in its own words, which stay. */
const isWritten = ({ header, request: { timeoutMs } }: ConnectPayload): boolean =>
  timeoutMs === undefined && (header.has("grpc-timeout") || header.has("connect-timeout-ms"));

/** The caller's header with what layers have added, where the caller has not said the same. */
function headerOf(call: Call, given: Headers, span: AttemptSpan | undefined): Headers {
  const earlier = call.record.attempts - 1;
  if (call.added === undefined && span === undefined && earlier === 0) return given;
  const header = new Headers(given);
  const add = (name: string, value: string): void => (header.has(name) ? undefined : header.set(name, value));
  for (const [name, value] of span?.fields ?? []) add(name, value);
  for (let field = call.added; field !== undefined; field = field.before) add(field.name, field.value);
  if (earlier > 0) header.set(ATTEMPTS_FIELD, String(earlier));
  return header;
}

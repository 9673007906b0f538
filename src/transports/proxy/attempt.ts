// One attempt at a proxied call: a request to an upstream, and what comes of it, listened to until it is clear what layers make of it.
import type { AttemptSpan, Call } from "../../call/call.ts";
import { abortedOutcome, brokenOutcome, brokenRpcOutcome, codeOfReset } from "../../call/classify.ts";
import { setIdleTimer } from "../../call/clock.ts";
import { Code } from "../../call/codes.ts";
import { type End, endNow, newEnd } from "../../call/end.ts";
import { Reader } from "../../call/messages.ts";
import type { Failure, Outcome } from "../../call/outcome.ts";
import type { Break, Fields, ResponseHead, ResponseReceiver, Stream } from "../../wire/wire.ts";
import type { Recording } from "../inbound/recording.ts";
import { addressed } from "./attempt-head.ts";
import { attributesOf } from "./attributes.ts";
import { readOn } from "./copies.ts";
import { LONGEST_DRAIN_MS, newDrain } from "./drain.ts";
import { type Keeping, newKeeping } from "./keeping.ts";
import type { ProxyPayload } from "./payload.ts";
import { type Ending, Relay, type Sink } from "./relay.ts";
import { type Response, readResponse } from "./response.ts";
import { UpstreamError } from "./upstream-error.ts";
import { badStatus, httpVerdict, rpcVerdict } from "./verdict.ts";

/** A policy's timeout goes out as the server's deadline: a server that gives up because of it, so much earlier or less, is not to be taken for one that failed. */
const SAME_MS = 50;
const OUT_OF_TIME = String(Code.DEADLINE_EXCEEDED);

/** A class, since messages want a reader, the wire a receiver and a signal a handler: one object is all three. */
export class Attempt extends Reader<Uint8Array> implements ResponseReceiver {
  /** Its head, once it is there. */
  response: Response | undefined = undefined;
  /** Until the head, in milliseconds. */
  serviceMs = 0;
  /** Which send of the call it was. */
  readonly nth: number;
  readonly call: Call;
  readonly #payload: ProxyPayload;
  readonly #settle: (outcome: Outcome<Attempt>) => void;
  readonly #began: number;
  #span: AttemptSpan | undefined = undefined;
  #stream: Stream | undefined = undefined;
  /** A connection has taken it, so a byte of it may have left. */
  #sent = false;
  /** Nothing more is to be heard of it. */
  #over = false;
  /** What comes behind the head, and when that is over; `undefined`: nothing does, or there is no head yet. */
  #relay: Relay | undefined = undefined;
  #end: End | undefined = undefined;
  /** All of the request has been given to the wire. */
  #requested: boolean;
  #switched = false;
  #halfClosed = false;
  /** `write` is under way; the wire takes more. */
  #writing = false;
  #free = false;
  #drainTimer: unknown = undefined;
  #keeping: Keeping | undefined = undefined;

  constructor(call: Call, payload: ProxyPayload, settle: (outcome: Outcome<Attempt>) => void) {
    super();
    this.call = call;
    this.#payload = payload;
    this.#settle = settle;
    this.#requested = payload.bodyless;
    this.#began = payload.context.door.env.now();
    this.nth = ++call.record.attempts;
  }

  begin(): void {
    const call = this.call;
    const payload = this.#payload;
    const span = (this.#span = call.tracer?.start(call, attributesOf(call, payload)));
    const { to, head } = addressed(call, payload, this.nth, span);
    const { upstreams } = payload.context;
    this.#stream =
      span === undefined
        ? upstreams.open(to, head, payload.bodyless, this)
        : span.within(() => upstreams.open(to, head, payload.bodyless, this));
    call.signal?.addEventListener("abort", this);
    if (payload.messages !== undefined && !payload.bodyless) this.readFrom(payload.messages);
    payload.begun();
  }

  // what the wire tells

  connected(): void {
    if (this.#sent || this.#over) return;
    this.#sent = true;
    this.call.record.sent++;
  }

  inform(head: ResponseHead): void {
    if (!this.#over) this.#payload.informed(head);
  }

  head(head: ResponseHead, ended: boolean): void {
    if (this.#over || this.response !== undefined) return;
    const { request, context, messages } = this.#payload;
    const response = readResponse(head);
    const now = context.door.env.now();
    if (request.isGrpc && response.grpcStatus === OUT_OF_TIME && this.call.endBy - now < SAME_MS) return; // the timeout ends it in a moment
    this.response = response;
    this.serviceMs = now - this.#began;
    if (!ended) {
      this.#end = newEnd();
      if (this.#stream !== undefined) this.#relay = new Relay(this.#stream);
    }
    let outcome = (request.isGrpc ? rpcVerdict : httpVerdict)<Attempt>(this, response, this.#end, dropped);
    this.#switched = !ended && (response.status === 101 || (request.head.method === "CONNECT" && response.status < 300));
    if (this.#switched) {
      this.#requested = false;
      outcome = { ...outcome, switched: true };
      if (messages !== undefined && this.#payload.bodyless) this.readFrom(messages);
    }
    if (ended) this.#stop();
    this.#conclude(outcome);
  }

  data(chunk: Uint8Array): void {
    if (!this.#over) this.#relay?.body(chunk);
  }

  end(trailers: Fields): void {
    if (this.#over || this.#halfClosed) return;
    if (this.#switched && !this.#requested) {
      this.#halfClosed = true;
      this.#relay?.over({ trailers, half: true });
      return;
    }
    this.#finish({ trailers, half: false }, this.#payload.request.isGrpc ? badStatus(trailers, this.response) : undefined);
  }

  broken(broke: Break): void {
    if (this.#over) return;
    const { why, code } = broke;
    const error = new UpstreamError(broke);
    const { isGrpc } = this.#payload.request;
    if (this.response === undefined) {
      return this.#fail(isGrpc ? brokenRpcOutcome(why, this.#sent, code, error) : brokenOutcome(why, this.#sent, error));
    }
    const cut = brokenOutcome(why, true, error);
    this.#finish({ cut: isGrpc ? { ...cut, code: codeOfReset(why, code) } : cut }, error);
  }

  /** The request may go on. */
  drained(): void {
    if (this.busy && !this.#over) this.#take();
  }

  // what the call tells

  /** The call has settled on this attempt. */
  deliver(sink: Sink): void {
    this.#payload.messages?.commit(this);
    this.#relay?.to(this.#keeping?.through(sink) ?? sink);
  }

  /** The client takes more of the response. */
  resume(): void {
    this.#relay?.resume();
  }

  /** The signal was aborted. */
  handleEvent(): void {
    const { signal } = this.call;
    const outcome = abortedOutcome(signal, this.#sent);
    if (this.response === undefined) this.#fail(outcome);
    else this.#finish({ cut: outcome }, signal?.reason);
    this.#stream?.reset("cancelled");
  }

  /** Its response is the answer that is to be kept, whether somebody takes it or not. */
  keep(recording: Recording, most: number): void {
    if (this.response !== undefined) this.#keeping = newKeeping(recording, most, this.response, this.#relay === undefined);
  }

  /** Nobody wants its response any more. */
  drop(): void {
    const relay = this.#relay;
    const keeping = this.#keeping;
    if (keeping !== undefined) return relay?.to(keeping.alone(() => this.#giveUp()));
    if (this.#over) return;
    if (this.#payload.alone === true) return relay?.to(readOn);
    if (relay === undefined || !this.#requested || this.#payload.to.version === "2") return this.#giveUp();
    this.#drainTimer = setIdleTimer(this.#payload.context.door.env.timers, () => this.#giveUp(), LONGEST_DRAIN_MS);
    return relay.to(newDrain(() => this.#giveUp()));
  }

  override lost(): void {
    if (this.#over) return;
    if (this.response === undefined) this.#fail(abortedOutcome(undefined, this.#sent));
    this.#giveUp();
  }

  // what messages tell

  protected override give(chunk: Uint8Array): void {
    this.#free = this.#stream?.write(chunk) ?? false;
    if (!this.#free || this.#writing) return;
    this.#take();
  }

  protected override giveEnd(): void {
    this.#requested = true;
    this.#stream?.end(this.#payload.trailers);
    if (this.#halfClosed) this.#finish({ trailers: [], half: false }, undefined);
  }

  /** The chunk was taken; a loop, since the next may be there and be taken at once. */
  #take(): void {
    this.#writing = true;
    do {
      this.#free = false;
      this.took();
    } while (this.#free && !this.#over);
    this.#writing = false;
  }

  #conclude(outcome: Outcome<Attempt>): void {
    this.#span?.end(outcome);
    this.#settle(outcome);
  }

  #fail(outcome: Failure<never>): void {
    this.#stop();
    this.#conclude(outcome);
  }

  /** The response is over. */
  #finish(ending: Ending, error: unknown): void {
    this.#stop();
    this.#relay?.over(ending);
    if (this.#end !== undefined) endNow(this.#end, error);
  }

  #giveUp(): void {
    this.#stop();
    this.#stream?.reset("cancelled");
    if (this.#end !== undefined) endNow(this.#end);
  }

  #stop(): void {
    this.#over = true;
    if (this.#drainTimer !== undefined) this.#payload.context.door.env.timers.clearTimer(this.#drainTimer);
    this.call.signal?.removeEventListener("abort", this);
    this.leave();
    if (!this.#requested) this.#stream?.reset("cancelled"); // the answer is there, and the rest of the request is for nobody
  }
}

const dropped = (attempt: Attempt): void => attempt.drop();

// One attempt at an RPC: a call of grpc-js's own channel, listened to until it is clear what becomes of it, and passed on to the caller from then on.
import type { AttemptSpan, Call } from "../../call/call.ts";
import { abortedOutcome } from "../../call/classify.ts";
import { Code } from "../../call/codes.ts";
import { type End, endNow, newEnd } from "../../call/end.ts";
import { Reader } from "../../call/messages.ts";
import type { Failure, Outcome } from "../../call/outcome.ts";
import { remember } from "../../call/record.ts";
import { OUTCOME_FIELD } from "../../seam/names.ts";
import { attributesOf } from "./attributes.ts";
import { readOn } from "./copies.ts";
import { channelFor } from "./destination.ts";
import { Ear, type Hearer } from "./ear.ts";
import { FALLBACK_FIELD, rememberEnd, statusOf } from "./edge.ts";
import { type InterceptingListener, type Metadata, Status, type StatusObject, type WireCall } from "./grpc-js.ts";
import { type HeaderFields, headOf, PREVIOUS_ATTEMPTS } from "./metadata.ts";
import type { Outgoing, RpcPayload } from "./payload.ts";
import { isLocal, misused, verdictOn } from "./verdict.ts";

/** An attempt whose server gives up as early as this before a policy's own timeout has given up because of it: the deadline went out with the attempt. */
const SAME_MS = 50;

/** What came before it was clear that this is the attempt of the call. */
type Held = readonly ["head", Metadata] | readonly ["message", Buffer] | readonly ["status", StatusObject];

/** One attempt. A class, since its ear wants a hearer, messages a reader and a signal a handler: one object is all three. */
export class Attempt extends Reader<Outgoing> implements Hearer {
  readonly #call: Call;
  readonly #rpc: RpcPayload;
  readonly #settle: (outcome: Outcome<Attempt>) => void;
  /** Which send of the call it is; of one that crosses a seam, what came to its answer. */
  #number: number;
  #span: AttemptSpan | undefined = undefined;
  #real: WireCall | undefined = undefined;
  /** A byte of it may have left. */
  #sent = false;
  /** It is there from the head on. */
  #end: End | undefined = undefined;
  #over = false;
  #headed = false;
  /** What a layer ended it with, after its head. */
  #cut: StatusObject | undefined = undefined;
  #held: Held[] = [];
  #listener: InterceptingListener | undefined = undefined;
  readonly #ear = new Ear(this);

  constructor(call: Call, rpc: RpcPayload, settle: (outcome: Outcome<Attempt>) => void) {
    super();
    this.#call = call;
    this.#rpc = rpc;
    this.#settle = settle;
    this.#number = ++call.record.attempts;
  }

  startRead(): void {
    this.#real?.startRead();
  }

  begin(): void {
    const { signal } = this.#call;
    const { path, deadline, metadata, credentials, reading, messages } = this.#rpc;
    this.#span = this.#call.tracer?.start(this.#call, attributesOf(this.#call));
    let real: WireCall;
    try {
      const { channel, host } = channelFor(this.#call, this.#rpc);
      // the parent is the call's affair: an attempt that begins after it was cancelled would never hear of it
      real = channel.createCall(path, deadline, host, null, undefined);
    } catch (error) {
      return this.#fail(misused(Code.INTERNAL, error instanceof Error ? error.message : String(error)), false);
    }
    this.#real = real;
    if (credentials !== undefined) real.setCredentials(credentials);
    this.#rpc.begun(real);
    signal?.addEventListener("abort", this);
    metadata.attempt = this.#ear; // grpc-js makes its own copy of the metadata as it starts
    if (this.#span === undefined) real.start(metadata, this.#ear);
    else this.#span.within(() => real.start(metadata, this.#ear));
    if (reading) real.startRead();
    this.readFrom(messages);
  }

  taken(): void {
    this.took();
  }

  /** A connection has been found. */
  heading(fields: HeaderFields): void {
    const { record, added, deadline, endBy } = this.#call;
    const { endsAt, line, responseStream } = this.#rpc;
    if (!this.#sent) {
      this.#sent = true;
      record.sent++;
    }
    for (const [name, value] of this.#span?.fields ?? []) fields[name] ??= value;
    for (let field = added; field !== undefined; field = field.before) fields[field.name] ??= field.value;
    for (const [name, value] of this.#call.crossing?.fields ?? []) fields[name] = value;
    if (this.#number > 1) fields[PREVIOUS_ATTEMPTS] = String(this.#number - 1);
    const until = responseStream ? endBy : deadline;
    // without a deadline of grpc-js's own, what stands there is what the caller has written
    const written = endsAt === Number.POSITIVE_INFINITY && fields["grpc-timeout"] !== undefined;
    if (until < endsAt && !written) fields["grpc-timeout"] = `${Math.max(1, Math.ceil(until - line.door.env.now()))}m`;
  }

  onReceiveMetadata(metadata: Metadata): void {
    if (this.#over) return;
    this.#answered(metadata);
    this.#commit(metadata);
    this.#headed = true;
    if (this.#number > 1) metadata.set(PREVIOUS_ATTEMPTS, String(this.#number - 1));
    this.#pass(["head", metadata]);
  }

  onReceiveMessage(message: Buffer | null): void {
    if (this.#over || message === null) return;
    this.#commit();
    if (this.#listener !== undefined && this.#held.length === 0) this.#listener.onReceiveMessage(message);
    else this.#pass(["message", message]);
  }

  onReceiveStatus(status: StatusObject): void {
    if (this.#over) return;
    if (!this.#headed && !isLocal(status)) this.#answered(status.metadata);
    if (this.#number > 1 && !this.#headed) status.metadata.set(PREVIOUS_ATTEMPTS, String(this.#number - 1));
    if (this.#end === undefined && status.code !== Status.OK) {
      if (!this.#isTimeout(status)) this.#fail(this.#verdict(status), status.code === Status.DEADLINE_EXCEEDED && isLocal(status));
      return;
    }
    const end = this.#commit();
    this.#stop();
    const final = this.#cut ?? status;
    endNow(end, final.code === Status.OK ? undefined : final);
    this.#pass(["status", final]);
  }

  /** The call has settled on this attempt: what it receives goes to the caller. Told in a turn of its own, since the caller's code may throw. */
  deliver(listener: InterceptingListener, fallback: string | undefined): void {
    process.nextTick(() => {
      const first = this.#held[0];
      if (fallback !== undefined && first !== undefined && first[0] !== "message")
        (first[0] === "head" ? first[1] : first[1].metadata).set(FALLBACK_FIELD, fallback);
      this.#listener = listener;
      this.#flush(listener);
    });
  }

  /** The signal was aborted. */
  handleEvent(): void {
    const { signal, record } = this.#call;
    const outcome = abortedOutcome(signal, this.#sent);
    if (this.#end === undefined) this.#fail(outcome, false);
    else this.#cut = this.#rpc.cancelled ?? statusOf(outcome, record);
    const { code, details } = this.#rpc.cancelled ?? statusOf(outcome, record);
    this.#real?.cancelWithStatus(code, details);
  }

  /** Nobody wants its response any more. */
  drop(): void {
    if (this.#rpc.alone === true) return this.deliver(readOn(this), undefined);
    if (this.#over) return;
    this.#stop();
    this.#real?.cancelWithStatus(Status.CANCELLED, "Cancelled on client: the response was dropped");
    if (this.#end !== undefined) endNow(this.#end);
  }

  override lost(): void {
    this.#fail(abortedOutcome(undefined, this.#sent), false);
    this.#real?.cancelWithStatus(Status.CANCELLED, "Cancelled on client: another attempt was chosen");
  }

  protected override give({ message, flags }: Outgoing): void {
    this.#real?.sendMessageWithContext(flags === undefined ? { callback: this.#ear.taken } : { callback: this.#ear.taken, flags }, message);
  }

  protected override giveEnd(): void {
    this.#real?.halfClose();
  }

  /** The head of an answer; where it comes from a sidecar, that is told what stands in it. */
  #answered(metadata: Metadata): void {
    const { crossing } = this.#call;
    if (crossing === undefined) return;
    const [outcome] = metadata.get(OUTCOME_FIELD);
    metadata.remove(OUTCOME_FIELD);
    this.#number = crossing.answered(outcome?.toString());
  }

  #commit(metadata?: Metadata): End {
    if (this.#end !== undefined) return this.#end;
    const end = (this.#end = newEnd());
    this.#rpc.messages.commit(this);
    const head = metadata === undefined ? undefined : headOf(metadata);
    const outcome: Outcome<Attempt> = { ok: true, response: this, head, end, discard };
    this.#span?.end(outcome);
    this.#settle(outcome);
    return end;
  }

  /** Ends it without an answer. */
  #fail(outcome: Failure<never>, last: boolean): void {
    this.#stop();
    this.#span?.end(outcome);
    this.#rpc.failed(last);
    this.#settle(outcome);
  }

  #stop(): void {
    this.#over = true;
    this.#ear.hearer = undefined;
    this.#call.signal?.removeEventListener("abort", this);
    this.leave();
  }

  /** A policy's timeout went out with it as its deadline, and the server was first to act on that: the timeout ends it in a moment. */
  #isTimeout(status: StatusObject): boolean {
    const { deadline } = this.#call;
    if (status.code !== Status.DEADLINE_EXCEEDED || isLocal(status) || !(deadline < this.#rpc.endsAt)) return false;
    return deadline - this.#rpc.line.door.env.now() < SAME_MS;
  }

  #verdict(status: StatusObject): Failure<never> {
    // a channel that is closed ends what has no connection yet; that is nobody's failure
    return this.#rpc.line.closed && !this.#sent ? misused(Code.UNAVAILABLE, status.details) : verdictOn(status, this.#sent);
  }

  #pass(held: Held): void {
    if (this.#held.length === 0) this.#held = [held]; // pushed into an empty one, it would take room for 17
    else this.#held.push(held);
    if (this.#listener !== undefined) this.#flush(this.#listener);
  }

  #flush(listener: InterceptingListener): void {
    try {
      for (let held = this.#held.shift(); held !== undefined; held = this.#held.shift()) {
        if (held[0] === "message") listener.onReceiveMessage(held[1]);
        else if (held[0] === "head") {
          remember(held[1], this.#call.record);
          listener.onReceiveMetadata(held[1]);
        } else {
          rememberEnd(held[1], this.#call.record);
          listener.onReceiveStatus(held[1]);
        }
      }
    } finally {
      if (this.#held.length > 0) process.nextTick(() => this.#flush(listener)); // the caller's code has thrown
    }
  }
}

const discard = (attempt: Attempt): void => attempt.drop();

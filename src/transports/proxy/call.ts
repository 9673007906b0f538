// The call that an exchange makes: what layers see of it, what its attempts send, and what its client gets in the end.
import { type Call, type CallRecord, type Metadata, newCall } from "../../call/call.ts";
import { Messages } from "../../call/messages.ts";
import type { Orders } from "../../call/orders.ts";
import { discard, type Outcome } from "../../call/outcome.ts";
import { abortedOutcome } from "../../call/classify.ts";
import { newRecord } from "../../call/record.ts";
import { Abort, type Signal } from "../../call/signal.ts";
import { type Break, type Destination, type Exchange, type Fields, NO_FIELDS, type Receiver, type ResponseHead } from "../../wire/wire.ts";
import type { FarCall } from "../../seam/call-field.ts";
import type { Ruled } from "../door.ts";
import { Replayed } from "../inbound/replay.ts";
import { giveAgain } from "./again.ts";
import { answer } from "./answer.ts";
import type { Asked } from "./asked.ts";
import { Attempt } from "./attempt.ts";
import { requestFields } from "./common-fields.ts";
import type { Context } from "./context.ts";
import { copyOf } from "./copies.ts";
import { Delivery } from "./delivery.ts";
import { deadlineMs, NEVER } from "./deadline.ts";
import { valueOf } from "./field-names.ts";
import { CLIENT_LEFT, CLIENT_SLOW, REPLAYED, type Why, whyDelivered } from "./flags.ts";
import { brokenReply, DEADLINE_REPLY, type LocalReply, replyTo } from "./local-reply.ts";
import { type ProxyIncoming, newIncoming } from "./incoming.ts";
import { Intake } from "./intake.ts";
import { ordersOf } from "./orders.ts";
import type { ProxyPayload } from "./payload.ts";
import type { Request } from "./request.ts";
import { newRequestId } from "./request-id.ts";
import { passedOn } from "./response.ts";
import { continued, crossed, outcomeField, unseen, untilThen } from "./seam.ts";
import { sendProxied } from "./send.ts";

/** What stands for a policy where there is none. */
const STRAIGHT = { policy: { name: "", layers: [] }, revision: "" };

/** One exchange. A class, since its signal is one; and one object for all that a call needs: its signal, its payload and its metadata. */
export class ProxyCall extends Abort implements Receiver, Metadata, ProxyPayload {
  readonly context: Context;
  readonly exchange: Exchange;
  readonly request: Request;
  readonly to: Destination;
  readonly bodyless: boolean;
  readonly messages: Messages<Uint8Array> | undefined;
  readonly orders: Orders | undefined;
  readonly requestId: string;
  readonly record: CallRecord;
  readonly incoming: ProxyIncoming | undefined;
  trailers: Fields = NO_FIELDS;
  /** Bytes of the request's body. */
  received = 0;
  readonly far: FarCall | undefined;
  readonly #ruled: Ruled | undefined;
  /** What all attempts send; the first of them adds to it behind that. */
  readonly #fields: string[];
  readonly #length: number;
  readonly intake: Intake | undefined;
  #call: Call | undefined = undefined;
  #overflowed: ((call: Call, bytes: number) => void) | undefined = undefined;
  #delivery: Delivery | undefined = undefined;
  /** The client's own deadline. */
  #guard: unknown = undefined;
  #expired = false;
  #gone: Break | undefined = undefined;
  #over = false;

  constructor(context: Context, exchange: Exchange, { request, target, to, ruled, trusted, far }: Asked) {
    super(undefined);
    const { isGrpc, head, envoy } = request;
    const { env } = context.door;
    this.context = context;
    this.exchange = exchange;
    this.request = request;
    this.to = to;
    this.#ruled = ruled;
    this.bodyless = exchange.bodyless;
    const bytes = head.upgrade !== undefined || head.method === "CONNECT"; // that may come behind a switch
    this.messages = this.bodyless && !bytes ? undefined : new Messages(context.pool);
    this.intake = this.messages === undefined ? undefined : new Intake(exchange, this.messages, this);
    this.requestId = request.requestId ?? newRequestId();
    this.#fields = requestFields(exchange, request, context, this.requestId, trusted);
    this.#length = this.#fields.length;
    this.far = far;
    this.orders = far === undefined && trusted && envoy !== undefined ? ordersOf(envoy) : undefined;
    this.record = newRecord(ruled ?? STRAIGHT, isGrpc ? "grpc" : "http", target, request.method, env.now(), context.direction);
    this.incoming = context.direction === "inbound" ? newIncoming(this) : undefined;
    if (far !== undefined) continued(this.record, far);
  }

  start(trusted: boolean): void {
    const { door } = this.context;
    const deadline = this.far === undefined ? this.#deadline(trusted) : untilThen(this.request, door.env.now());
    const fresh = newCall({ record: this.record, metadata: this, signal: this, payload: this, send: sendProxied, deadline });
    const call = (this.#call = this.far === undefined ? fresh : crossed(fresh, this.far, door.env.now()));
    try {
      if (this.#ruled === undefined) void sendProxied(call).then((outcome) => this.conclude(outcome));
      else void door.through(this.#ruled, call, conclude).catch((error: unknown) => this.#reply(brokenReply(error)));
    } catch (error) {
      return this.#reply(this.far === undefined ? brokenReply(error) : unseen("draining")); // the client is closed
    }
    this.exchange.receive(this);
  }

  // what the wire tells of the request

  data(chunk: Uint8Array): void {
    this.received += chunk.byteLength;
    if (this.intake === undefined || this.#over) return;
    this.intake.take(chunk);
  }

  end(trailers: Fields): void {
    this.trailers = trailers.length === 0 ? NO_FIELDS : passedOn(trailers);
    this.intake?.end();
  }

  broken(why: Break): void {
    this.#gone = why;
    this.abort(new Error("the client left"));
  }

  drained(): void {
    this.#delivery?.attempt.resume();
  }

  // what layers ask

  get replayable(): boolean {
    return this.messages === undefined || this.bodyless || this.messages.replayable;
  }

  get unfinished(): boolean {
    return this.messages !== undefined && !this.bodyless && !this.messages.ended;
  }

  keep(bytes: number, overflowed?: (call: Call, bytes: number) => void): void {
    this.#overflowed ??= overflowed;
    this.messages?.keep(bytes);
  }

  copy(bytes: number, given: (copy: ProxyPayload | undefined) => void): void {
    if (this.messages === undefined) return given(copyOf(this, []));
    if (this.bodyless) return given(undefined); // what comes behind a switch is none
    this.messages.copy(bytes, (all) => given(all && copyOf(this, all)));
  }

  get(name: string): string | undefined {
    return name === ":path" ? this.request.head.path : valueOf(this.request.head.fields, name);
  }

  // what attempts ask and tell

  attemptFields(): string[] {
    return this.#fields.length === this.#length ? this.#fields : this.#fields.slice(0, this.#length);
  }

  begun(): void {
    this.intake?.begin();
  }

  informed({ status, fields }: ResponseHead): void {
    if (status !== 100 && this.#delivery === undefined && !this.#over) this.exchange.inform({ status, fields: passedOn(fields) });
  }

  // how it ends

  conclude(outcome: Outcome<unknown>): void {
    const { response } = outcome;
    if (this.#over) return discard(outcome);
    if (this.#gone !== undefined) {
      discard(outcome);
      return this.#finish(this.#gone.why === "slow" ? CLIENT_SLOW : CLIENT_LEFT, 0, 0);
    }
    if (this.#expired && !outcome.ok && outcome.by === "caller") return this.#reply(DEADLINE_REPLY);
    if (response instanceof Replayed && outcome.reply === undefined) {
      const { status, bytes } = giveAgain(this.exchange, this.request, this.context, this.requestId, response.answer);
      return this.#finish(REPLAYED, status, bytes, this.request.isGrpc ? response.answer.status : undefined);
    }
    if (outcome.reply !== undefined || !(response instanceof Attempt))
      return this.#reply(this.#told(replyTo(outcome, this.record), outcome));
    this.#delivery = new Delivery(this, response, whyDelivered(outcome, this.record));
    this.#delivery.begin(outcome);
  }

  /** The delivery is over. */
  delivered(why: Why, { status, sent }: Delivery): void {
    this.#finish(why, status, sent);
  }

  get left(): boolean {
    return this.#gone !== undefined;
  }

  get expired(): boolean {
    return this.#expired;
  }

  /** With what the other side of the seam needs to know of it. */
  #told(reply: LocalReply, outcome: Outcome<unknown>): LocalReply {
    return this.far === undefined ? reply : { ...reply, fields: [...reply.fields, ...outcomeField(outcome, this.record, this.far)] };
  }

  /** The client is told no more of the answer, which comes to its end for the record. */
  cut(signal: Signal): void {
    this.#delivery?.cut(abortedOutcome(signal, true));
    this.#delivery?.attempt.drop();
  }

  outgrown(): void {
    if (this.#call !== undefined) this.#overflowed?.(this.#call, this.messages?.bytes ?? 0);
  }

  #reply(reply: LocalReply): void {
    if (this.#over) return;
    const { status, bytes } = answer(this.exchange, this.request, this.context, this.requestId, reply);
    this.#finish(reply.why, status, bytes, reply.code);
  }

  #finish(why: Why, status: number, sent: number, code?: number): void {
    this.#over = true;
    if (this.incoming === undefined) this.messages?.over();
    else this.incoming.over(() => this.messages?.over());
    const { env } = this.context.door;
    if (this.#guard !== undefined) env.timers.clearTimer(this.#guard);
    const serviceMs = this.#delivery?.attempt.serviceMs;
    const tookMs = env.now() - this.record.startedAt;
    this.context.onOver?.(this, { why, status, sent, code: this.#delivery?.grpcStatus ?? code, serviceMs, tookMs });
  }

  /** The client's own deadline, on the clock of `Env.now`. Whatever layers there are, it ends the call. */
  #deadline(trusted: boolean): number {
    const ms = deadlineMs(this.request, trusted, this.record.layers, this.orders);
    if (ms === NEVER) return NEVER;
    const { env } = this.context.door;
    this.#guard = env.timers.setTimer(() => {
      this.#expired = true;
      this.abort(new Error("the client's deadline has passed"));
    }, ms);
    return env.now() + ms;
  }
}

const conclude = (outcome: Outcome<unknown>, { payload }: Call): void => (payload as ProxyCall).conclude(outcome); // the cast: the call was made here

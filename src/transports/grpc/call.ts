// The call that an RPC makes: what grpc-js's client machinery takes for a call of its channel, and what layers see of it.
import { type Call, type CallRecord, type Metadata as CallFields, newCall } from "../../call/call.ts";
import { Code } from "../../call/codes.ts";
import { Messages } from "../../call/messages.ts";
import { whenEnded } from "../../call/end.ts";
import type { Outcome } from "../../call/outcome.ts";
import { newRecord } from "../../call/record.ts";
import { Abort } from "../../call/signal.ts";
import type { Asked } from "./asked.ts";
import { Attempt } from "./attempt.ts";
import { copyOf } from "./copies.ts";
import { rpcCrosses } from "./crosses.ts";
import { brokenStatus, rememberStatus, statusOf } from "./edge.ts";
import {
  type CallCredentials,
  type Deadline,
  type InterceptingListener,
  type MessageContext,
  Metadata,
  type StatusObject,
  type WireCall,
} from "./grpc-js.ts";
import { awaiting, type Line, type Waiting } from "./line.ts";
import { CallMetadata } from "./metadata.ts";
import { followParent, millisecondsUntil, withParents } from "./parent.ts";
import type { Outgoing, RpcPayload } from "./payload.ts";
import { sendRpc } from "./send.ts";
import { isThisTurn, thisTurn } from "./turn.ts";

/**
 * One RPC. A class, as what it stands in for is one; and one object for all that a call needs: the call, its signal, its payload and its metadata.
 */
export class RpcCall extends Abort implements WireCall, RpcPayload, CallFields, Waiting {
  readonly line: Line;
  readonly path: string;
  readonly host: string | null | undefined;
  readonly deadline: Deadline;
  readonly endsAt: number;
  readonly messages: Messages<Outgoing>;
  credentials: CallCredentials | undefined = undefined;
  reading = false;
  cancelled: StatusObject | undefined = undefined;
  readonly #asked: Asked;
  readonly #record: CallRecord;
  readonly #born: number;
  #metadata: CallMetadata | undefined = undefined;
  #given: Metadata | undefined = undefined;
  #listener: InterceptingListener | undefined = undefined;
  /** The latest attempt, as grpc-js knows it. */
  #real: WireCall | undefined = undefined;
  /** The attempt that the call has settled on. */
  #chosen: Attempt | undefined = undefined;
  #overflowed: ((call: Call, bytes: number) => void) | undefined = undefined;
  #call: Call | undefined = undefined;
  #over = false;
  /** Ends the wait for an attempt, if it waits. */
  #moved: (() => void) | undefined = undefined;
  #startedIn: object | undefined = undefined;
  #unary = false;
  readonly #unfollow: (() => void) | undefined;

  constructor(line: Line, asked: Asked) {
    super(undefined);
    const { ruled, called, method, parent, propagate } = asked;
    const { env } = line.door;
    this.line = line;
    this.#asked = asked;
    this.path = asked.path;
    this.host = asked.host;
    this.messages = new Messages(line.pool);
    this.#record = newRecord(ruled, "grpc", called.target, method, env.now());
    this.#born = Date.now();
    this.deadline = withParents(asked.deadline, parent, propagate);
    this.endsAt = env.now() + millisecondsUntil(this.deadline);
    this.#unfollow = followParent(parent, propagate, () => this.cancelWithStatus(Code.CANCELLED, "Cancelled by parent call"));
  }

  // what grpc-js asks of a call

  start(metadata: Metadata, listener: InterceptingListener): void {
    this.#given = metadata;
    this.#listener = listener;
    this.#startedIn = thisTurn();
    const { ruled, facts } = this.#asked;
    const idempotent = facts?.idempotent === true || metadata.getOptions().idempotentRequest === true ? true : undefined;
    const call = newCall({
      record: this.#record,
      metadata: this,
      signal: this,
      idempotent,
      idempotencyKey: undefined,
      payload: this,
      deadline: this.endsAt,
      send: sendRpc,
      crosses: rpcCrosses,
    });
    this.#call = call;
    try {
      void this.line.door.through(ruled, call, conclude, broken);
    } catch (error) {
      return this.broken(error);
    }
    void this.metadata; // copied now: the caller may change it for its next call
    if (this.#record.attempts === 0) this.#wait();
  }

  cancelWithStatus(code: number, details: string): void {
    if (this.#over || this.aborted) return;
    this.cancelled = { code, details, metadata: new Metadata() };
    this.abort(new Error(details));
  }

  sendMessageWithContext({ callback, flags }: MessageContext, message: Buffer): void {
    if (this.messages.ended && !this.#over) {
      this.cancelWithStatus(Code.INTERNAL, "Write error: write after end");
      if (callback !== undefined) process.nextTick(callback);
      return;
    }
    const overflowed = this.messages.write({ message, flags }, message.length, callback);
    if (overflowed && this.#call !== undefined) this.#overflowed?.(this.#call, this.messages.bytes);
  }

  halfClose(): void {
    this.messages.end();
  }

  startRead(): void {
    if (!this.reading) {
      this.reading = true;
      // grpc-js begins to read a single answer as it starts the call; a stream's reader comes later, with a turn of its own
      this.#unary = this.#startedIn !== undefined && isThisTurn(this.#startedIn);
    }
    if (this.#chosen !== undefined) return this.#chosen.startRead();
    for (const reader of this.messages.readers) if (reader instanceof Attempt) reader.startRead();
  }

  setCredentials(credentials: CallCredentials): void {
    this.credentials = credentials;
  }

  getPeer(): string {
    return this.#real?.getPeer() ?? this.line.real.getTarget();
  }

  getAuthContext(): ReturnType<WireCall["getAuthContext"]> {
    return this.#real?.getAuthContext() ?? null;
  }

  getCallNumber(): number {
    return this.#real?.getCallNumber() ?? 0;
  }

  // what layers ask of a call

  get replayable(): boolean {
    return this.messages.replayable;
  }

  get unfinished(): boolean {
    return !this.messages.ended;
  }

  keep(bytes: number, overflowed?: (call: Call, bytes: number) => void): void {
    this.#overflowed ??= overflowed;
    this.messages.keep(bytes);
  }

  copy(bytes: number, given: (copy: RpcPayload | undefined) => void): void {
    this.messages.copy(bytes, (all) => given(all && copyOf(this, all)));
  }

  get(name: string): string | undefined {
    const value = this.#given?.get(name)[0];
    return typeof value === "string" ? value : undefined;
  }

  // what attempts ask of a call

  get metadata(): CallMetadata {
    return (this.#metadata ??= CallMetadata.of(this.#given ?? new Metadata()));
  }

  get authority(): string {
    return this.#asked.called.authority;
  }

  get responseStream(): boolean {
    return this.#asked.facts?.responseStream ?? !this.#unary;
  }

  begun(real: WireCall): void {
    this.#real = real;
    this.#goOn();
  }

  failed(last: boolean): void {
    if (last || this.line.closed) this.abort(new Error("the call is over"));
    else if (this.messages.readers.length === 0) this.#wait();
  }

  channelClosed(): void {
    this.cancelWithStatus(Code.UNAVAILABLE, "Channel closed before call started");
  }

  // how it ends

  conclude(outcome: Outcome<unknown>): void {
    this.#goOn();
    const listener = this.#listener;
    if (listener === undefined || this.#over) return;
    if (!outcome.ok || !(outcome.response instanceof Attempt)) return this.#end(this.cancelled ?? statusOf(outcome, this.#record));
    this.#chosen = outcome.response;
    this.#chosen.deliver(listener, outcome.fallback);
    whenEnded(outcome.end, () => this.#letGo());
  }

  broken(error: unknown): void {
    if (!this.#over) this.#end(brokenStatus(error));
  }

  /** Without an answer. In a turn of its own, since the caller's code may throw. */
  #end(status: StatusObject): void {
    this.#letGo();
    rememberStatus(status, this.#record);
    process.nextTick(() => this.#listener?.onReceiveStatus(status));
  }

  #letGo(): void {
    this.#over = true;
    this.#goOn();
    this.messages.over();
    this.#unfollow?.();
  }

  /** No attempt is under way. */
  #wait(): void {
    this.#moved ??= awaiting(this.line, this, this.endsAt, () => {
      const after = ((Date.now() - this.#born) / 1_000).toFixed(3);
      this.cancelWithStatus(Code.DEADLINE_EXCEEDED, `Deadline exceeded after ${after}s, between attempts of policy ${this.#record.policy}`);
    });
  }

  #goOn(): void {
    this.#moved?.();
    this.#moved = undefined;
  }
}

const conclude = (outcome: Outcome<unknown>, { payload }: Call): void => (payload as RpcCall).conclude(outcome); // the cast: the call was made here
const broken = (error: unknown, { payload }: Call): void => (payload as RpcCall).broken(error); // the cast: as above

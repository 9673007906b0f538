// One RPC that comes in, between the layers and the handler that answers it. A class, since grpc-js asks interceptors for one.
import type { Call } from "../../call/call.ts";
import { abortedOutcome, rpcFailure } from "../../call/classify.ts";
import { digestOf } from "../../call/digest.ts";
import { type End, endNow, newEnd, whenEnded } from "../../call/end.ts";
import type { Answer, Asked, Incoming, Told } from "../../call/incoming.ts";
import type { Outcome } from "../../call/outcome.ts";
import type { Abort, Signal } from "../../call/signal.ts";
import { makeKnown } from "../inbound/known.ts";
import { Replayed } from "../inbound/replay.ts";
import { type InboundListener, type InboundWire, Metadata, ServerInterceptingCall, Status, type SentStatus } from "./grpc-js.ts";
import { entriesOf, metadataOf } from "./metadata-entries.ts";
import type { MessageForm } from "./messages-in.ts";

/** The field that says that an answer was given before. */
const REPLAYED_FIELD = "idempotency-replayed";

/** Where an answer keeps the words of its status. */
const DETAILS_FIELD = "grpc-message";

export interface ServerCallOptions {
  /** `payments.v1.Payments/Charge`. */
  readonly method: string;
  readonly streamed: boolean;
  readonly form: MessageForm;
  readonly left: Abort;
  readonly now: () => number;
  /** The head of the request is there. */
  readonly begin: (metadata: Metadata) => void;
  /** Why whoever asked waits no longer. */
  readonly whyLeft: () => unknown;
}

/** As a number, since an answer that was kept has one. */
const OK: number = Status.OK;

const nothing = (): void => undefined;

export class ServerCall extends ServerInterceptingCall {
  readonly incoming: Incoming;
  readonly #wire: InboundWire;
  readonly #options: ServerCallOptions;
  readonly #end: End = newEnd();
  #listener: InboundListener | undefined;
  #metadata = new Metadata();
  #sending: Promise<Outcome<unknown>> | undefined;
  #headed: ((outcome: Outcome<unknown>) => void) | undefined;
  /** A layer has answered in the place of the handler, or whoever asked has left: what the handler says goes nowhere. */
  #apart = false;
  #status: SentStatus | undefined;
  /** What was read ahead, and the handler has not asked for yet. */
  #read: { readonly message: unknown } | "end" | undefined;
  #reading: ((read: { readonly message: unknown } | "end") => void) | undefined;
  #recording:
    | { readonly most: number; readonly told: (told: Told) => void; fields: Answer["fields"]; body: Uint8Array | undefined }
    | undefined;

  constructor(wire: InboundWire, options: ServerCallOptions) {
    super(wire);
    this.#wire = wire;
    this.#options = options;
    this.incoming = {
      asked: (most, signal) => this.#asked(most, signal),
      record: (most, told) => {
        this.#recording = { most, told, fields: [], body: new Uint8Array() };
        return undefined;
      },
      cut: () => this.answer({ code: Status.DEADLINE_EXCEEDED, details: "the answer did not end in time" }),
      replay: (answer) => this.#outcomeOf(answer.status, new Replayed(answer)),
    };
  }

  /** The handler is ready. */
  override start(listener: InboundListener): void {
    this.#listener = listener;
    this.#wire.start({
      onReceiveMetadata: (metadata) => {
        this.#metadata = metadata;
        this.#options.begin(metadata);
      },
      onReceiveMessage: (message) => this.#came({ message }),
      onReceiveHalfClose: () => this.#came("end"),
      onCancel: () => this.#over(),
    });
  }

  override startRead(): void {
    const read = this.#read;
    this.#read = undefined;
    if (read === undefined) this.#wire.startRead();
    else this.#give(read);
  }

  override sendMetadata(metadata: Metadata): void {
    if (this.#recording !== undefined) this.#recording.fields = entriesOf(metadata);
    this.#head();
    if (!this.#apart) this.#wire.sendMetadata(metadata);
  }

  override sendMessage(message: unknown, callback: () => void): void {
    if (this.#recording !== undefined) this.#recording.body = this.#options.form.response(message);
    this.#head();
    if (this.#apart) process.nextTick(callback);
    else this.#wire.sendMessage(message, callback);
  }

  override sendStatus(status: SentStatus): void {
    this.#head(status);
    this.#record(status);
    if (this.#apart) return;
    this.#status = status;
    this.#wire.sendStatus(status);
  }

  /** Lets the handler begin. Never rejects. */
  send(call: Call): Promise<Outcome<unknown>> {
    return (this.#sending ??= this.#sent(call)); // an adopted engine may send again; the work is done once
  }

  /** Answers in the place of the handler. */
  answer(status: SentStatus): void {
    if (this.#apart || this.#status !== undefined) return;
    this.#apart = true;
    this.#status = status;
    this.#wire.sendStatus(status);
  }

  /** Gives the answer that was given before. */
  replay({ status, fields, body, trailers }: Answer): void {
    this.#apart = true;
    const metadata = metadataOf(fields);
    metadata.set(REPLAYED_FIELD, "true");
    const details = trailers.find(([name]) => name === DETAILS_FIELD)?.[1] ?? "";
    const last: SentStatus = { code: status, details, metadata: metadataOf(trailers.filter(([name]) => name !== DETAILS_FIELD)) };
    this.#status = last;
    const end = (): void => this.#wire.sendStatus(last);
    this.#wire.sendMetadata(metadata);
    if (status === OK) this.#wire.sendMessage(this.#options.form.again(body), end);
    else end();
  }

  #sent(call: Call): Promise<Outcome<unknown>> {
    const { signal, record } = call;
    if (signal?.aborted === true) return Promise.resolve(abortedOutcome(signal));
    record.attempts++;
    record.sent++;
    makeKnown(this.#metadata, call, this.#options.now);
    const { promise, resolve } = Promise.withResolvers<Outcome<unknown>>();
    this.#headed = resolve;
    if (signal !== undefined) {
      const aborted = (): void => {
        if (this.#headed === undefined) this.incoming.cut(signal);
        else resolve(abortedOutcome(signal, true));
      };
      signal.addEventListener("abort", aborted, { once: true });
      whenEnded(this.#end, () => signal.removeEventListener("abort", aborted));
    }
    this.#listener?.onReceiveMetadata(this.#metadata);
    return promise;
  }

  /** The handler has begun to answer: with a status, or with a message or its head. */
  #head(status?: SentStatus): void {
    this.#headed?.(this.#outcomeOf(status?.code ?? Status.OK, this, status));
    this.#headed = undefined;
  }

  #outcomeOf(code: number, response: unknown, cause?: unknown): Outcome<unknown> {
    if (code === OK) return { ok: true, response, end: this.#end, discard: nothing };
    return { ...rpcFailure(code, "answer", cause), response, end: this.#end, discard: nothing };
  }

  /** The stream is over: what was sent has left, or whoever asked has. */
  #over(): void {
    const left = this.#status === undefined;
    if (left) {
      this.#apart = true;
      this.#options.left.abort(this.#options.whyLeft());
    }
    const code = this.#status?.code ?? OK;
    endNow(this.#end, left ? this.#options.left.reason : code === OK ? undefined : this.#status);
    this.#listener?.onCancel();
  }

  #record({ code, details, metadata }: SentStatus): void {
    const recording = this.#recording;
    if (recording === undefined) return;
    this.#recording = undefined;
    const { body, fields, most, told } = recording;
    if (body === undefined || body.byteLength > most) return told("too-long");
    const trailers = [...entriesOf(metadata), [DETAILS_FIELD, details] as const];
    return told({ status: code, fields, body, trailers });
  }

  #came(read: { readonly message: unknown } | "end"): void {
    const reading = this.#reading;
    this.#reading = undefined;
    if (reading === undefined) return this.#give(read);
    this.#read = read;
    return reading(read);
  }

  #give(read: { readonly message: unknown } | "end"): void {
    if (read === "end") this.#listener?.onReceiveHalfClose();
    else this.#listener?.onReceiveMessage(read.message);
  }

  async #asked(most: number, signal: Signal | undefined): Promise<Asked> {
    const { method, streamed, form } = this.#options;
    if (streamed) return { not: "streamed" };
    const { promise, resolve } = Promise.withResolvers<{ readonly message: unknown } | "end" | undefined>();
    const gone = (): void => resolve(undefined);
    this.#reading = resolve;
    signal?.addEventListener("abort", gone, { once: true });
    this.#wire.startRead();
    const read = await promise;
    signal?.removeEventListener("abort", gone);
    if (read === undefined) return { not: "gone" };
    const bytes = read === "end" ? new Uint8Array() : form.request(read.message);
    if (bytes === undefined || bytes.byteLength > most) return { not: "too-long" };
    return { digest: digestOf(`${method}\n${digestOf(bytes)}`) };
  }
}

// Incoming: what layers in front of the application may ask of a call that has come in: its digest, its answer, and to give an answer again.
import { httpOutcome, rpcFailure } from "../../call/classify.ts";
import { Code } from "../../call/codes.ts";
import { digestOf } from "../../call/digest.ts";
import type { Answer, Asked, Incoming, Told } from "../../call/incoming.ts";
import type { Pool } from "../../call/messages.ts";
import type { Outcome } from "../../call/outcome.ts";
import type { Signal } from "../../call/signal.ts";
import { newRecording, type Recording } from "../inbound/recording.ts";
import { Replayed } from "../inbound/replay.ts";
import { Attempt } from "./attempt.ts";
import { valueOf } from "./field-names.ts";
import { codeIn, rpcStatus } from "./grpc.ts";
import type { Intake } from "./intake.ts";
import type { Request } from "./request.ts";
import { type WholeBody, wholeBody } from "./whole-body.ts";

/** The call that has come in. */
export interface Caller {
  readonly request: Request;
  readonly intake: Intake | undefined;
  readonly bodyless: boolean;
  readonly context: { readonly pool: Pool };
  /** Breaks off the answer that is being sent to it. */
  cut(signal: Signal): void;
}

export interface ProxyIncoming extends Incoming {
  /** The call is over. `let go`: no attempt goes on for the sake of an answer that is to be kept. */
  over(letGo: () => void): void;
}

export function newIncoming(caller: Caller): ProxyIncoming {
  const { intake, bodyless } = caller;
  const { head, isGrpc } = caller.request;
  const { pool } = caller.context;
  /** Bytes that are counted in the pool. */
  let counted = 0;
  let read: Promise<WholeBody> | undefined;
  let recordings = 0;
  let letGo: (() => void) | undefined;

  function whole(most: number, signal: Signal | undefined): Promise<WholeBody> {
    if (head.upgrade !== undefined || head.method === "CONNECT") return Promise.resolve("streamed");
    if (intake === undefined || bodyless) return Promise.resolve(new Uint8Array());
    if (Number(valueOf(head.fields, "content-length")) > most) return Promise.resolve("too-long");
    return wholeBody(intake, { pool, counted: (bytes) => (counted += bytes) }, { most, rpc: isGrpc }, signal);
  }

  async function asked(most: number, signal: Signal | undefined): Promise<Asked> {
    const body = await (read ??= whole(most, signal));
    if (typeof body === "string") return { not: body };
    if (body.byteLength > most) return { not: "too-long" };
    return { digest: digestOf(`${head.method} ${head.path}\n${digestOf(body)}`) };
  }

  function ended(): void {
    if (recordings > 0 || letGo === undefined) return;
    pool.bytes -= counted;
    counted = 0;
    letGo();
  }

  return {
    passedOn: true,
    asked,
    record: (most, told) => {
      recordings++;
      const recording = newRecording(most, (what) => {
        recordings--;
        told(isGrpc ? rpcAnswer(what) : what);
        ended();
      });
      return (outcome) => answered(outcome, recording, most);
    },
    cut: (signal) => caller.cut(signal),
    replay: ({ ...answer }) =>
      isGrpc ? rpcOutcome(answer) : httpOutcome(new Replayed(answer), answer.status, undefined, undefined, nothing),
    over: (then) => {
      letGo = then;
      ended();
    },
  };
}

const nothing = (): void => undefined;

/** What a layer has made in the application's place is not its answer: how the work came out, nobody knows then. */
function answered({ response, reply }: Outcome<unknown>, recording: Recording, most: number): void {
  if (response instanceof Attempt && reply === undefined) response.keep(recording, most);
  else recording.over();
}

/** The answer to an RPC by its code, its messages as they are on the wire. Without a status nobody knows how it came out. */
function rpcAnswer(told: Told): Told {
  if (typeof told === "string") return told;
  const { fields, body, trailers } = told;
  const all = [...fields, ...trailers];
  const code = all.findLast(([name]) => name === "grpc-status")?.[1];
  if (code === undefined) return "none";
  return { status: codeIn(code), fields, body, trailers };
}

function rpcOutcome(answer: Answer): Outcome<unknown> {
  const response = new Replayed(answer);
  if (answer.status === Code.OK) return { ok: true, response, discard: nothing };
  return { ...rpcFailure(answer.status, "answer", rpcStatus(answer.status, "")), response, discard: nothing };
}

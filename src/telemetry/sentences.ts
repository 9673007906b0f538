// Sentences: what each decision of a layer means, with its numbers, for people.
import type { Decision } from "../call/call.ts";
import type { LayerKind } from "../policy/policy.ts";
import { counted, duration } from "./words.ts";

/** What layers of ours report: numbers and words. */
type Detail = Readonly<Record<string, string | number | undefined>>;
type Sentence = (detail: Detail, decision: Decision) => string;

const ms = (value: Detail[string]): string => (typeof value === "number" ? duration(value) : "an unknown time");

/** How an attempt came out: `503`, or the code's name. */
const result = ({ status, code }: Detail): string => `${status ?? code}`;

const cameOut = (detail: Detail, { attempt }: Decision): string => `attempt ${attempt} came out as ${result(detail)}`;

/** Why a breaker is open: the numbers of its trip. */
function why({ reason, consecutive, failed, slow, calls, window, probes }: Detail): string {
  if (reason === "probes failed") return `${failed} of ${counted(probes, "probe")} failed`;
  if (reason !== undefined) return `${reason}`;
  if (consecutive !== undefined) return `${counted(consecutive, "failure")} in a row`;
  if (failed !== undefined) return `${failed} of ${counted(calls, "call")} failed in ${window}`;
  if (slow !== undefined) return `${slow} of ${counted(calls, "call")} were slow in ${window}`;
  return "restored";
}

const limiterState = ({ limit, active, waiting }: Detail): string => `${active} of ${limit} under way, ${waiting} waiting`;

const MIRROR_DROPPED: Readonly<Record<string, string>> = {
  limit: "too many mirrored calls are under way",
  body: "its body is gone or over the buffer",
  transport: "calls of this transport are not mirrored",
};

/** Why a call with a key was not done. */
const KEY_REFUSED: Readonly<Record<string, string>> = {
  missing: "it has no key",
  malformed: "its key is none",
  "too-long": "its body is over the buffer",
  streamed: "it is streamed",
  taken: "its body was read before",
  reused: "its key was used for another request",
  running: "the first call with its key is under way",
  lost: "how the first call with its key came out is not known",
  "not-kept": "the first call with its key was done, and its answer was not kept",
  full: "no more keys can be known",
  "store-away": "the store gives no answer",
};

/** For each kind the words of its decisions. In shadow the same words stand behind `would-be-`. */
const sentences: { readonly [K in LayerKind]: Readonly<Record<string, Sentence>> } = {
  trace: {},
  idempotency: {
    refused: ({ reason, error }) => `refused: ${KEY_REFUSED[`${reason}`] ?? reason}${error === undefined ? "" : ` (${error})`}`,
    replayed: ({ status }) => `gave the answer that was given before (${status})`,
    "not-kept": ({ buffer }) => `did not keep the answer: it is over the buffer of ${buffer} bytes`,
    "let-go": ({ status }) => `kept no answer, and set the key free: ${status} says that nothing was done`,
    lost: () => "the work ended without an answer: how it came out is not known",
    repeated: () => "lets it be done again: how the call before it came out is not known",
    outrun: () => "did not keep the answer: the lease was over, and another has the key",
    "not-stored": ({ error }) => `could not keep the answer (${error})`,
    "answer-dropped": () => "let go of an answer to make room; its key stands for a call that was done",
    "key-forgotten": () => "let go of a key to make room, before its time",
  },
  rateLimit: {
    refused: ({ rate, per, burst, retryAfterMs, cost, peerRemaining }) => {
      const counts = cost === undefined ? "" : `, and it counts for ${cost}`;
      if (retryAfterMs === undefined) return `refused: it counts for ${cost}, more than ever pass at once (burst ${burst})`;
      const peer =
        peerRemaining === undefined
          ? `over ${rate} per ${per} (burst ${burst})`
          : `the peer says that ${counted(peerRemaining, "call")} remained`;
      return `refused: ${peer}${counts}; room again in ${ms(retryAfterMs)}`;
    },
    queued: ({ waiting, waitMs }) => `put in the queue behind ${counted(waiting, "call")}, for about ${ms(waitMs)}`,
    admitted: ({ waitedMs }) => `let through after ${ms(waitedMs)} in the queue`,
    "store-lost": ({ error, onStoreLoss }) => `goes on without its store (${onStoreLoss}): ${error}`,
    "store-back": ({ store, awayMs }) => `shares with ${store} again, after ${ms(awayMs)}`,
  },
  bulkhead: {
    refused: (detail) => `refused: ${limiterState(detail)}`,
    queued: (detail) => `put in the queue: ${limiterState(detail)}`,
    "limit-changed": ({ limit, was, rttMs, minRttMs }) =>
      `set its limit to ${limit}, from ${was}: calls take ${ms(rttMs)}, and ${ms(minRttMs)} without a queue`,
    "waited-too-long": (detail) => `refused after its time in the queue: ${limiterState(detail)}`,
    admitted: ({ waitedMs }) => `let through after ${ms(waitedMs)} in the queue`,
  },
  timeout: {
    "timed-out": ({ afterMs, waitingFor }) =>
      `timed out: ${waitingFor === "end" ? "the response had not ended" : "there was no response"} after ${ms(afterMs)}`,
  },
  retry: {
    retrying: (detail, decision) => `${cameOut(detail, decision)}: attempt ${detail["next"]} follows after ${ms(detail["waitMs"])}`,
    "rate-limited": (detail, decision) =>
      `${cameOut(detail, decision)}: not sent again, since the rate limit of a proxy on the way refused it`,
    exhausted: (detail, decision) => `${cameOut(detail, decision)}: no attempt is left of ${detail["attempts"]}`,
    "not-idempotent": (detail, decision) => `${cameOut(detail, decision)}: not sent again, since ${detail["method"]} may not be sent twice`,
    "body-not-replayable": (detail, decision) =>
      `${cameOut(detail, decision)}: not sent again, since its body is gone or over the buffer of ${detail["buffer"]} bytes`,
    "asked-to-wait-too-long": (detail, decision) =>
      `${cameOut(detail, decision)}: not sent again, since the peer asks to wait ${ms(detail["retryAfterMs"])}, over the most of ${ms(detail["max"])}`,
    "asked-not-to-retry": (detail, decision) => `${cameOut(detail, decision)}: not sent again, since the peer asks for that`,
    "committed-by-overflow": ({ bytes, buffer }, { attempt }) =>
      `attempt ${attempt} was made the last: ${bytes} bytes of messages are over the buffer of ${buffer}, or over that of all calls`,
    "no-time-left": (detail, decision) =>
      `${cameOut(detail, decision)}: not sent again, since the wait of ${ms(detail["waitMs"])} would pass the deadline`,
    "budget-spent": (detail, decision) =>
      `${cameOut(detail, decision)}: not sent again, since the budget is spent (retries under way: ${detail["retries"]}, calls: ${detail["active"]})`,
  },
  hedge: {
    hedging: ({ afterMs, next, copies, max }) => `no answer after ${ms(afterMs)}: attempt ${next} was sent beside (${copies} of ${max})`,
    answered: ({ by, tookMs, sent }) => `attempt ${by} was the first of ${sent} to answer, in ${ms(tookMs)}`,
    "not-idempotent": ({ method }) => `slow, and not sent beside itself, since ${method} may not be sent twice`,
    "body-not-replayable": ({ buffer }) => `slow, and not sent beside itself, since its body is gone or over the buffer of ${buffer} bytes`,
    "budget-spent": ({ active, extra }) =>
      `slow, and not sent beside itself, since the budget is spent (extra attempts under way: ${extra}, calls: ${active})`,
    "committed-by-overflow": ({ bytes, buffer }) =>
      `its messages (${bytes} bytes so far) are over the buffer of ${buffer}: no copy can be sent beside`,
    "asked-to-wait": ({ retryAfterMs }) =>
      `not sent beside itself again, since the peer asks ${retryAfterMs === Number.POSITIVE_INFINITY ? "not to be asked again" : `to wait ${ms(retryAfterMs)}`}`,
  },
  breaker: {
    opened: (detail) => `opened for ${ms(detail["openForMs"])}: ${why(detail)}`,
    "half-opened": ({ probes }) => `half-opened: ${counted(probes, "probe")} may pass`,
    hinted: ({ probes }) => `half-opened, since another process has opened its own: ${counted(probes, "probe")} may pass`,
    closed: () => "closed: the probes succeeded",
    refused: (detail) => {
      const { phase, retryAfterMs } = detail;
      if (phase === "isolated") return "refused: isolated by hand";
      if (phase === "half-open") return `refused: half-open, and its probes are under way; next try in ${ms(retryAfterMs)}`;
      return `refused: open, since ${why(detail)}; next probe in ${ms(retryAfterMs)}`;
    },
    isolated: () => "isolated by hand",
    reset: () => "reset by hand",
    restored: () => "restored from a snapshot",
  },
  fallback: {
    answered: (detail) => `answered ${detail["with"]} in place of ${result(detail)}`,
    "asked-another-target": (detail) => `asked ${detail["target"]} in place of ${result(detail)}`,
    "body-not-replayable": (detail) => `could not ask another target in place of ${result(detail)}: its body is gone or over the buffer`,
  },
  fault: {
    delayed: ({ delayMs }) => `delayed by ${ms(delayMs)} on purpose`,
    aborted: (detail) => `answered ${result(detail)} on purpose`,
  },
  route: {
    "no-endpoint": ({ error }) => `refused: no endpoint can take it${error === undefined ? "" : ` (${error})`}`,
    "no-route": () => "refused: no entry fits it",
    "endpoints-changed": ({ entry, endpoints, before }) => `entry ${entry} has ${counted(endpoints, "endpoint")}, before ${before}`,
    "endpoints-cut": ({ entry, found }) => `entry ${entry} found ${counted(found, "endpoint")}, more than one may have`,
    "discovery-failed": ({ entry, error, endpoints }) =>
      `entry ${entry} found no endpoints (${error}); it keeps the ${endpoints} that it has`,
    mirrored: ({ to }) => `sent to ${to} too`,
    "mirror-failed": (detail) => `the mirror ${detail["to"]} answered ${result(detail)}`,
    "mirror-dropped": ({ to, reason }) => `not sent to ${to} too: ${MIRROR_DROPPED[`${reason}`] ?? reason}`,
    ejected: ({ endpoint, finding, forMs }) => `took ${endpoint} out${forMs === undefined ? "" : ` for ${ms(forMs)}`}: ${finding}`,
    "not-ejected": ({ endpoint, finding, ejected, of }) => `left ${endpoint} in (${finding}): ${ejected} of ${of} are out already`,
    returned: ({ endpoint, afterMs }) => `sends to ${endpoint} again, after ${ms(afterMs)}`,
    healthy: ({ endpoint, checks }) => `${endpoint} is well again after ${counted(checks, "check")}`,
    unhealthy: ({ endpoint, checks, why: reason }) => `${endpoint} is not well after ${counted(checks, "check")}: ${reason}`,
    panicked: ({ priority, available, endpoints }) =>
      `sends to all endpoints of priority ${priority}: only ${available} of ${endpoints} are available`,
    calmed: ({ priority, available, endpoints }) =>
      `sends to available endpoints of priority ${priority} again: ${available} of ${endpoints}`,
  },
  sidecar: {
    stayed: ({ why: reason }) => `ran the layers behind it in the process: ${reason}`,
    refused: ({ why: reason, retryAfterMs }) =>
      `refused: ${reason}${retryAfterMs === undefined ? "" : `; the sidecar is asked again in ${ms(retryAfterMs)}`}`,
    broken: ({ why: reason }) => `the sidecar broke off while it had the call: ${reason}`,
    "refused-behind": ({ by, code, status }) => `the ${by} layer behind it ended the call: ${status ?? code}`,
    "body-not-replayable": ({ why: reason }) =>
      `could not run the layers behind it in the process (${reason}): the body is gone or over the buffer`,
    "unknown-revision": ({ address, revision }) => `${address} does not have the policy in revision ${revision}`,
    "sidecar-lost": ({ address, why: reason }) => `${address} is lost: ${reason}`,
    "sidecar-found": ({ address, afterMs }) => `${address} is there again after ${ms(afterMs)}`,
  },
  adopt: {
    refused: ({ engine, error, retryAfterMs }) =>
      `refused by ${engine}: ${error}${retryAfterMs === undefined ? "" : `; next try in ${ms(retryAfterMs)}`}`,
    "timed-out": ({ engine }) => `timed out by ${engine}`,
    repeated: ({ engine, next }) => `sent again by ${engine}: attempt ${next} follows`,
    replaced: ({ engine, status }) => `answered by a fallback of ${engine}${status === undefined ? "" : ` with ${status}`}`,
    "body-not-replayable": ({ engine }) => `not sent again for ${engine}, since its body is gone or over the buffer`,
  },
};

const SHADOW = /^would-be-/;

export function sentenceOf(decision: Decision): string {
  const { kind, what } = decision;
  const detail = (decision.detail ?? {}) as Detail; // the cast: see Detail
  if (what === "would-time-out") return `in shadow: ${sentences.timeout["timed-out"]?.(detail, decision) ?? what}`;
  const sentence = sentences[kind][what.replace(SHADOW, "")];
  if (sentence === undefined) return generic(decision);
  return `${SHADOW.test(what) ? "in shadow: " : ""}${sentence(detail, decision)}`;
}

/** A decision without a sentence of its own: its word and its numbers. */
function generic({ what, detail = {} }: Decision): string {
  const numbers = Object.entries(detail).filter(([, value]) => value !== undefined);
  const shown = numbers.map(([name, value]) => `${name} ${String(value)}`).join(", ");
  return `${what.replaceAll("-", " ")}${shown === "" ? "" : ` (${shown})`}`;
}

// What a layer is set to, in words: one line for each thing that it does.
import type { Trip } from "../../layers/breaker/definition.ts";
import type { RouteTarget } from "../../layers/route/definition.ts";
import { type Settings, withDefaults } from "../../policy/defaults.ts";
import { counted, round, time } from "../../policy/figures.ts";
import type { LayerDefinition, LayerKind } from "../../policy/policy.ts";
import { waitCeilings } from "../../policy/worst-case.ts";

interface Where {
  /** Inside retry a layer sees attempts and not calls. */
  readonly insideRetry: boolean;
  /** Which layer is the retry whose budget a hedge keeps to. */
  readonly budgetOf: number | undefined;
}

type Words<K extends LayerKind> = (settings: Settings<K>, where: Where) => readonly string[];

const words: { readonly [K in LayerKind]: Words<K> } = {
  trace: () => ["one span for the call, one for each attempt beneath it"],
  rateLimit: ({ rate, per, burst, queue, key, cost, shared, learn }, where) => [
    `${rate} ${seen(where)} per ${per}, ${burst} at once${key === false ? "" : `, apart by the header ${key.header}`}`,
    ...(cost === false ? [] : [`each counts for the number in the header ${cost.header}`]),
    ...(shared === false ? [] : [`over all processes that share a store; ${STORE_LOSS[shared.onStoreLoss]} while it is away`]),
    ...(learn ? ["slower by what the peer says of its own limit"] : []),
    queueWords(queue),
  ],
  bulkhead: ({ limit, queue, adaptive }, where) => [
    adaptive === false
      ? `${limit} ${seen(where)} at the same time`
      : `${adaptive.min} to ${limit} ${seen(where)} at the same time, at first ${Math.min(adaptive.initial, limit)}, set every ${adaptive.window} by their latency`,
    queueWords(queue),
  ],
  timeout: ({ after }, { insideRetry }) => [
    insideRetry ? `${after} for each attempt, to its head` : `${after} for the call, to the end of its response`,
  ],
  retry: ({ attempts, on, methods, statuses, backoff, budget, retryAfter, buffer }) => [
    `at most ${counted(attempts, "attempt")}, after ${[...on, ...statuses].join(", ")}`,
    methods.some((method) => method === "*") ? "of every method" : `of ${methods.join(", ")}; of others only what the peer never saw`,
    `waits below ${ceilings({ attempts, backoff })}`,
    retryAfter === false ? "Retry-After is not heeded" : `Retry-After is heeded up to ${retryAfter.max}`,
    budgetWords(budget),
    `streamed bodies are kept up to ${bytes(buffer)}`,
  ],
  hedge: ({ after, max, methods, on, budget, buffer }, { budgetOf }) => [
    `${counted(max, "copy", "copies")} more, each after ${after} without an answer`,
    methods.some((method) => method === "*") ? "of every method" : `of ${methods.join(", ")}`,
    `the first answer counts, but not ${on.join(", ")} while another copy is under way`,
    budgetOf !== undefined ? `the budget is that of layer ${budgetOf}` : budgetWords(budget),
    `streamed bodies are kept up to ${bytes(buffer)}`,
  ],
  breaker: ({ trip, openFor, maxOpenFor, probes, on, shared }, where) => [
    ...(Array.isArray(trip) ? (trip as readonly Trip[]) : [trip as Trip]).map((one) => tripWords(one, where)), // the casts: isArray does not narrow readonly lists
    `stays open for ${openFor}${maxOpenFor === openFor ? "" : `, doubled each time up to ${maxOpenFor}`}, then ${counted(probes, "probe decides", "probes decide")}`,
    `failures are ${on.join(", ")}`,
    ...(shared ? ["tells other processes when it opens, and tries with care when they tell"] : []),
  ],
  fallback: ({ on, response }) => [
    "target" in response ? `asks ${response.target} in place of a failure` : `answers ${response.status} in place of a failure`,
    `failures are ${on.join(", ")}`,
  ],
  fault: ({ delay, abort }, where) => [
    ...(delay === false ? [] : [`delays ${delay.percent} % of ${seen(where)} by ${delay.for}`]),
    ...(abort === false ? [] : [`answers ${abort.percent} % of ${seen(where)} with ${abort.status ?? abort.code}`]),
  ],
  idempotency: ({ header, methods }) => [`${header} on ${methods.some((method) => method === "*") ? "every method" : methods.join(", ")}`],
  route: ({ to, balance, mirror, host, outliers, health, sticky }) => [
    ...to.map(routeTargetWords),
    `picked by ${typeof balance === "string" ? balance : Object.keys(balance).join()}, ${host === "rewrite" ? "called by their addresses" : "called by the name of the target"}`,
    ...(sticky === undefined ? [] : [`calls of the same ${stickyWords(sticky)} go to the same target`]),
    ...(outliers === undefined ? [] : ["endpoints that fail are ejected for a while"]),
    ...(health === undefined
      ? []
      : [`endpoints are asked for their health${health.http === undefined ? ", by grpc.health.v1" : ` at ${health.http.path}`}`]),
    ...(mirror === undefined ? [] : [`${mirror.percent ?? 100} % of the calls are sent to ${mirror.to} too`]),
  ],
  sidecar: ({ address, fallback }) => [
    `gives the call to the sidecar${address === false ? "" : ` at ${address}`}, which runs what follows`,
    fallback === "fail" ? "while no sidecar answers, calls fail" : "while no sidecar answers, what follows runs in the process",
  ],
  adopt: ({ engine }) => [`a live instance of ${engine}`],
};

function routeTargetWords({ match, weight, endpoints, dns, srv, file, priority = 0 }: RouteTarget): string {
  const share = weight === undefined ? "" : `weight ${weight}: `;
  const where =
    dns ??
    srv ??
    (file === undefined ? undefined : `the endpoints in ${typeof file === "string" ? file : file.path}`) ??
    endpointWords(endpoints);
  const later = priority === 0 ? "" : `, with priority ${priority}`;
  return `${share}to ${where}${later}${match === undefined ? "" : `, for calls that fit ${JSON.stringify(match)}`}`;
}

const stickyWords = ({ header, cookie }: NonNullable<Settings<"route">["sticky"]>): string =>
  header === undefined ? (cookie === undefined ? "path" : `cookie ${cookie}`) : `header ${header}`;

function endpointWords(endpoints: RouteTarget["endpoints"]): string {
  if (endpoints === "function") return "what a function finds";
  const urls = (endpoints ?? []).map((one) => (typeof one === "string" ? one : one.url));
  return urls.length > 5 ? `${urls.slice(0, 5).join(", ")} and ${urls.length - 5} more` : urls.join(", ") || "no endpoint";
}

const budgetWords = (budget: { readonly percent: number; readonly min: number } | false): string =>
  budget === false ? "no budget" : `budget: ${budget.percent} % of the calls under way, and always ${budget.min}`;

const seen = ({ insideRetry }: Where): string => (insideRetry ? "attempts" : "calls");

const queueWords = (queue: { readonly size: number; readonly timeout: string } | false): string =>
  queue === false ? "others are refused at once" : `${queue.size} more wait, up to ${queue.timeout}`;

/** `25 ms, 50 ms, 100 ms`; from where they no longer grow, once. */
function ceilings(settings: Pick<Settings<"retry">, "attempts" | "backoff">): string {
  const all = waitCeilings({ kind: "retry", ...settings });
  const grown = all.findIndex((ceiling, index) => ceiling === all[index + 1]);
  return (grown === -1 ? all : all.slice(0, grown + 1)).map(time).join(", ") || "0 ms";
}

function tripWords(trip: Trip, where: Where): string {
  if (trip.consecutive !== undefined) return `opens after ${trip.consecutive} failures in a row`;
  const [share, what] = trip.failureRate === undefined ? [trip.slowRate, `take more than ${trip.slowerThan}`] : [trip.failureRate, "fail"];
  return `opens when ${round(100 * share)} % of ${trip.minCalls} or more ${seen(where)} in ${trip.window} ${what}`;
}

function bytes(count: number): string {
  if (count >= 1_048_576) return `${round(count / 1_048_576)} MiB`;
  return count >= 1_024 ? `${round(count / 1_024)} KiB` : `${count} bytes`;
}

const STORE_LOSS = { local: "a fair share of it", open: "no limit", closed: "no call" } as const;

export function layerWords(layer: LayerDefinition, where: Where): readonly string[] {
  // the cast: the table pairs each kind with the words for its settings
  const tell = words[layer.kind] as unknown as (settings: object, where: Where) => readonly string[];
  const lines = tell(withDefaults(layer), where);
  const shadow = "shadow" in layer && layer.shadow;
  return shadow ? ["in shadow: reports only, and lets every call pass", ...lines] : lines;
}

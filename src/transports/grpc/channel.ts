// A channel of grpc-js with policies around it: each RPC goes through the stack of the policy it matches, and each attempt to the real channel.
import { type Address as Endpoint, whenLeft } from "../../call/address.ts";
import { PolicyError } from "../../policy/error.ts";
import type { Door, Ruled } from "../door.ts";
import { poolOf } from "../pool.ts";
import { type Called, calledBy, dialled } from "./address.ts";
import type { Asked } from "./asked.ts";
import { RpcCall } from "./call.ts";
import { channelToSidecar, originOfChannel, ownTlsOf } from "./crosses.ts";
import { type ChannelCredentials, type ChannelInterface, type ClientOptions, Propagate, RealChannel, requireGrpcJs } from "./grpc-js.ts";
import type { Line } from "./line.ts";
import { methodTimeouts } from "./service-config.ts";
import { methodFacts, type ServiceShape } from "./services.ts";

export interface ChannelSettings {
  /** Use this policy for every RPC of the channel, whatever the matches say. Default: the policy that the RPC matches. */
  readonly policy?: string;
  /**
   * Definitions of the services that are called, as the code generator gives them. What they say of a method's `idempotency_level` then counts for `retry`.
   * Default none: methods go by the policy.
   */
  readonly services?: readonly ServiceShape[];
}

/** How many channels to other addresses are kept; beyond, the oldest is closed, and made anew if it is needed. */
const MOST_OTHERS = 1_024;

/** A channel as grpc-js's own constructor makes it, with the client's policies around its calls. */
export function policyChannel(
  door: Door,
  settings: ChannelSettings,
  address: string,
  credentials: ChannelCredentials,
  options: ClientOptions,
): ChannelInterface {
  requireGrpcJs(credentials);
  if (settings.policy !== undefined) door.named(settings.policy);
  const facts = methodFacts(settings.services ?? []);
  const timeoutOf = methodTimeouts(options["grpc.service_config"]);
  // oxlint-disable-next-line typescript/no-unsafe-assignment -- channel options have an index signature of any
  const given: ClientOptions = { ...options, "grpc.service_config_disable_resolution": 1 };
  const real = new RealChannel(address, credentials, given);
  const authority: unknown = options["grpc.default_authority"];
  const own = calledBy(typeof authority === "string" ? authority : real.getTarget());
  const others = new Map<string, ChannelInterface>();
  /** Endpoints need not tell any more. */
  const forgets = new Set<() => void>();
  const ownTls = ownTlsOf(credentials, options);
  const line: Line = {
    door,
    real,
    pool: poolOf(door),
    waiting: new Set(),
    origin: ownTls === undefined ? originOfChannel(address, credentials) : undefined,
    ownTls,
    closed: false,
    elsewhere,
    over: (sidecar, name) => kept(`${sidecar.key} ${name} over`, sidecar, () => channelToSidecar(dialled(sidecar), name, given)),
  };

  function elsewhere(to: string, name: string, endpoint?: Endpoint): ChannelInterface {
    return kept(`${to} ${name}`, endpoint, () => {
      // an endpoint of the channel's own server has its certificate
      const certified = name === own.authority ? given["grpc.ssl_target_name_override"] : undefined;
      const named = { "grpc.default_authority": name, "grpc.ssl_target_name_override": certified ?? name.replace(/:\d+$/, "") };
      return new RealChannel(to, credentials, { ...given, ...named });
    });
  }

  /** The channel of that key, which is made when there is none, and closed when its endpoint has left. */
  function kept(key: string, endpoint: Endpoint | undefined, make: () => ChannelInterface): ChannelInterface {
    const known = others.get(key);
    if (known !== undefined) return known;
    for (const [oldest, channel] of others) {
      if (others.size < MOST_OTHERS) break;
      others.delete(oldest);
      channel.close(); // its calls go on
    }
    const other = make();
    others.set(key, other);
    if (endpoint !== undefined) {
      const forget = whenLeft(endpoint, () => {
        forgets.delete(forget);
        if (others.get(key) === other) others.delete(key);
        other.close();
      });
      forgets.add(forget);
    }
    return other;
  }

  const ruledBy = ({ host }: Called, method: string): Ruled | undefined =>
    settings.policy === undefined ? door.findRpc(host, method) : door.named(settings.policy);

  return {
    createCall: (path, deadline, host, parent, propagateFlags) => {
      if (line.closed || typeof path !== "string") return real.createCall(path, deadline, host, parent, propagateFlags); // which says what is wrong
      const called = host === undefined || host === null || host === "" ? own : calledBy(host);
      const method = path.startsWith("/") ? path.slice(1) : path;
      const ruled = ruledBy(called, method);
      if (ruled === undefined) return real.createCall(path, deadline, host, parent, propagateFlags);
      const limit = timeoutOf(method);
      const asked: Asked = {
        ruled,
        called,
        method,
        facts: facts.get(method),
        path,
        deadline: limit === undefined ? deadline : Math.min(Number(deadline), Date.now() + limit),
        host,
        parent,
        propagate: propagateFlags ?? Propagate.DEFAULTS,
      };
      return new RpcCall(line, asked);
    },
    close: () => {
      line.closed = true;
      for (const call of line.waiting) call.channelClosed();
      real.close();
      for (const other of others.values()) other.close();
      for (const forget of forgets) forget();
    },
    getTarget: () => real.getTarget(),
    getConnectivityState: (tryToConnect) => real.getConnectivityState(tryToConnect),
    watchConnectivityState: (current, deadline, callback) => real.watchConnectivityState(current, deadline, callback),
    getChannelzRef: () => real.getChannelzRef(),
  };
}

/** Settings as a caller without types may give them. */
export function checkSettings(settings: unknown, caller: string): void {
  const bad = (message: string): never => {
    throw new PolicyError("ERR_PREMESH_INVALID_OPTIONS", `${caller}: ${message}`);
  };
  if (typeof settings !== "object" || settings === null) return bad("the settings must be an object, { policy?, services? }");
  const { policy, services } = settings as { policy?: unknown; services?: unknown }; // the cast: any object can be asked
  if (policy !== undefined && typeof policy !== "string") bad("policy must be the name of a policy");
  if (services !== undefined && !(Array.isArray(services) && services.every((one) => typeof one === "object" || typeof one === "function")))
    bad("services must be a list of service definitions");
}

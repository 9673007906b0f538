// Target: one target of a policy, its stack and the layers it is made of; behind a `route` those of each endpoint.
import type { Branch, Branches, Plan } from "./call/build.ts";
import type { Next } from "./call/call.ts";

/** A planned layer with its state for one target, or one endpoint. */
export interface Built {
  readonly plan: Plan;
  readonly state: unknown;
}

/** One target of a policy. */
export interface Target {
  /** Its layers; up to the `route`, where there is one. */
  readonly built: readonly Built[];
  /** Where the `route` stands; -1: there is none. */
  readonly branchAt: number;
  /** What is behind the `route`. */
  readonly branches: Branches | undefined;
  readonly next: Next<unknown>;
  /** Called again since it was made or last looked at; a flood of targets that are called once does not push out those that are in use. */
  used: boolean;
  /** The layer at a place in the list: of the target, or behind the `route` of an endpoint that is known. */
  at(index: number, endpoint?: string): Built | undefined;
  /** The endpoints that are known. */
  endpoints(): readonly string[];
  /** All its layers with their places, those behind the `route` for each endpoint that is known. */
  all(): readonly (readonly [index: number, built: Built])[];
  /** The layers behind the `route` for one endpoint, which is known from then on. */
  readonly behind: (endpoint: string) => readonly Built[];
}

/** How a target is put together. */
export interface Making {
  /** A layer with its state, by its place in the list. */
  readonly build: (index: number, endpoint?: string) => Built;
  /** `outside`: the layers that stand before them. */
  readonly compose: (built: readonly Built[], outside: readonly Built[], branches?: Branches) => Next<unknown>;
  /** Told of layers that are new. `first`: the place of the first of them. */
  readonly born: (built: readonly Built[], first: number, endpoint?: string) => void;
  /** Told of layers of an endpoint that has left. */
  readonly left: (built: readonly Built[], first: number) => void;
}

/** The layers of one endpoint. */
interface Behind extends Branch {
  readonly built: readonly Built[];
}

export function newTarget(plans: readonly Plan[], { build, compose, born, left }: Making): Target {
  const branchAt = plans.findIndex(({ branching }) => branching === true);
  const known = new Map<string, Behind>();
  const front = branchAt === -1 ? plans : plans.slice(0, branchAt + 1);
  const built = front.map((_plan, index) => build(index));

  function to(endpoint: string): Behind {
    const found = known.get(endpoint);
    if (found !== undefined) return found;
    const behind = plans.slice(branchAt + 1).map((_plan, offset) => build(branchAt + 1 + offset, endpoint));
    const made: Behind = { built: behind, next: compose(behind, built), shutUntil: shutUntilOf(behind) };
    known.set(endpoint, made);
    born(behind, branchAt + 1, endpoint);
    return made;
  }

  const branches: Branches = {
    to,
    prune: (kept) => {
      for (const [endpoint, behind] of known) {
        if (kept(endpoint)) continue;
        known.delete(endpoint);
        left(behind.built, branchAt + 1);
      }
    },
  };
  const target: Target = {
    built,
    branchAt,
    branches: branchAt === -1 ? undefined : branches,
    next: compose(built, [], branches),
    used: false,
    at: (index, endpoint) => {
      if (endpoint === undefined) return built[index];
      return branchAt === -1 ? undefined : known.get(endpoint)?.built[index - branchAt - 1];
    },
    endpoints: () => [...known.keys()],
    all: () => [
      ...built.entries(),
      ...[...known.values()].flatMap((behind) => behind.built.map((one, offset) => [branchAt + 1 + offset, one] as const)),
    ],
    behind: (endpoint) => to(endpoint).built,
  };
  born(built, 0);
  return target;
}

/** Asks the layers that can say so; `undefined` where none can. */
function shutUntilOf(built: readonly Built[]): Branch["shutUntil"] {
  const asked = built.filter(({ plan }) => plan.shutUntil !== undefined);
  const [one] = asked;
  if (one === undefined) return undefined;
  if (asked.length === 1) return (now) => one.plan.shutUntil?.(one.state, now) ?? 0;
  return (now) => asked.reduce((until, { plan, state }) => Math.max(until, plan.shutUntil?.(state, now) ?? 0), 0);
}

/** Forgets the oldest target that was not used since the last look (the clock algorithm), and gives it. */
export function forgetOne(targets: Map<string, Target>): Target | undefined {
  for (const [name, target] of targets) {
    targets.delete(name);
    if (!target.used) return target;
    target.used = false;
    targets.set(name, target);
  }
  return undefined;
}

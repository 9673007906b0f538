// Locality: where endpoints are, seen from here; near ones come first, as Istio's locality failover has it
// (https://istio.io/latest/docs/tasks/traffic-management/locality-load-balancing/failover/).
import { env } from "node:process";

/** The environment variable that says where this process runs, where the policy does not. */
const LOCALITY_VARIABLE = "PREMESH_LOCALITY";

/** Where this process runs. A policy is the same everywhere, so this is best left to the environment. */
export const ownLocality = (option?: string): string | undefined => option ?? (env[LOCALITY_VARIABLE] || undefined);

/** How many distances there are. */
export const LOCALITY_RANKS = 4;

/** How far away: 0 in the same subzone, 1 in the same zone, 2 in the same region, 3 elsewhere. Where nobody says where we are, all are near. */
export function localityRank(own: string | undefined, theirs: string | undefined): number {
  if (own === undefined) return 0;
  const [region, zone, subzone] = own.split("/");
  const [theirRegion, theirZone, theirSubzone] = (theirs ?? "").split("/");
  if (region !== theirRegion) return 3;
  if (zone !== theirZone) return 2;
  return subzone === theirSubzone ? 0 : 1;
}

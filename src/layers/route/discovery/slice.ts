// What an endpoint file holds: EndpointSlices of Kubernetes (discovery.k8s.io/v1), one or a list of them, or a plain list of endpoints.
// https://kubernetes.io/docs/reference/kubernetes-api/service-resources/endpoint-slice-v1/
import { isIP } from "node:net";
import type { EndpointFile } from "./definition.ts";
import { type Found, foundAt, foundIn } from "./found.ts";

type Fields = Readonly<Record<string, unknown>>;

const isObject = (value: unknown): value is Fields => typeof value === "object" && value !== null && !Array.isArray(value);

const listIn = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);

/** Throws when it holds neither. */
export function foundInFile(value: unknown, port: EndpointFile["port"]): readonly Found[] {
  if (isObject(value) && Array.isArray(value["items"])) return inUse(value["items"].flatMap((item: unknown) => inSlice(item, port)));
  if (isObject(value) && (value["kind"] === "EndpointSlice" || "addressType" in value)) return inUse(inSlice(value, port));
  return foundIn(isObject(value) ? value["endpoints"] : value);
}

/** An endpoint of a slice, and whether it takes new calls. */
interface Candidate {
  readonly found: Found;
  readonly ready: boolean;
  readonly serving: boolean;
}

/** Those that are ready; where none is, those that are ending but still serve, as kube-proxy does. */
function inUse(candidates: readonly Candidate[]): readonly Found[] {
  const ready = candidates.filter((one) => one.ready);
  return (ready.length > 0 ? ready : candidates.filter(({ serving }) => serving)).map(({ found }) => found);
}

function inSlice(slice: unknown, wanted: EndpointFile["port"]): readonly Candidate[] {
  if (!isObject(slice) || !Array.isArray(slice["endpoints"] ?? []))
    throw new TypeError("it must hold EndpointSlices or a list of endpoints");
  const port = portIn(listIn(slice["ports"]), wanted);
  if (port === undefined) return [];
  return listIn(slice["endpoints"]).flatMap((endpoint): readonly Candidate[] => {
    if (!isObject(endpoint)) return [];
    const conditions = isObject(endpoint["conditions"]) ? endpoint["conditions"] : {};
    const zone = typeof endpoint["zone"] === "string" && endpoint["zone"] !== "" ? { zone: endpoint["zone"] } : {};
    const ready = conditions["ready"] !== false; // nothing said is taken for ready, as the API asks
    const serving = (conditions["serving"] ?? conditions["ready"]) !== false;
    return listIn(endpoint["addresses"]).flatMap((address): readonly Candidate[] => {
      if (typeof address !== "string" || !isHost(address)) return [];
      return [{ found: { ...foundAt(port.scheme, address, port.number), ...zone }, ready, serving }];
    });
  });
}

const isHost = (address: string): boolean => isIP(address) !== 0 || /^(?:[\w-]{1,63}\.)*[\w-]{1,63}\.?$/.test(address);

interface Port {
  readonly scheme: "http:" | "https:";
  readonly number: number;
}

/** The port that was asked for, by name or number; else the first. */
function portIn(ports: readonly unknown[], wanted: EndpointFile["port"]): Port | undefined {
  const found = ports.find((port): port is Fields => {
    if (!isObject(port) || typeof port["port"] !== "number") return false;
    return wanted === undefined || port["name"] === wanted || port["port"] === wanted;
  });
  if (found === undefined) return undefined;
  const secure = found["appProtocol"] === "https" || found["name"] === "https";
  return { scheme: secure ? "https:" : "http:", number: Number(found["port"]) };
}

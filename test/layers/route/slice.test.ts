// What endpoint files hold: EndpointSlices as Kubernetes writes them, and plain lists.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { foundInFile } from "../../../src/layers/route/discovery/slice.ts";
import { readText } from "../../../src/policy/text.ts";

const keys = (value: unknown, port?: string | number): readonly string[] => foundInFile(value, port).map(({ key }) => key);

const slice = (endpoints: readonly object[], more: object = {}): object => ({
  apiVersion: "discovery.k8s.io/v1",
  kind: "EndpointSlice",
  metadata: { name: "payments-abc", labels: { "kubernetes.io/service-name": "payments" } },
  addressType: "IPv4",
  ports: [
    { name: "http", port: 8080, protocol: "TCP" },
    { name: "admin", port: 9090, protocol: "TCP" },
  ],
  endpoints,
  ...more,
});

const [ready, notReady, ending, silent] = [
  { addresses: ["10.0.0.1"], conditions: { ready: true, serving: true, terminating: false }, zone: "eu-a" },
  { addresses: ["10.0.0.2"], conditions: { ready: false, serving: false, terminating: false } },
  { addresses: ["10.0.0.3"], conditions: { ready: false, serving: true, terminating: true } },
  { addresses: ["10.0.0.4"] },
] as const;

test("endpoints that are ready, and those of which nothing is said", () => {
  assert.deepEqual(keys(slice([ready, notReady, ending, silent])), ["http://10.0.0.1:8080", "http://10.0.0.4:8080"]);
});

test("where none is ready, those that are ending but still serve stand in", () => {
  assert.deepEqual(keys(slice([notReady, ending])), ["http://10.0.0.3:8080"]);
  assert.deepEqual(keys({ items: [slice([ending]), slice([ready])] }), ["http://10.0.0.1:8080"], "over all slices of a list");
});

test("the zone is kept, for the entry to say which region it is in", () => {
  assert.deepEqual(
    foundInFile(slice([ready, silent]), undefined).map(({ zone }) => zone),
    ["eu-a", undefined],
  );
});

test("the port by name or number; by default the first", () => {
  assert.deepEqual(keys(slice([ready]), "admin"), ["http://10.0.0.1:9090"]);
  assert.deepEqual(keys(slice([ready]), 9090), ["http://10.0.0.1:9090"]);
  assert.deepEqual(keys(slice([ready]), "grpc"), []);
  assert.deepEqual(keys(slice([ready], { ports: [{ name: null, port: null }, { port: 80 }] })), ["http://10.0.0.1"]);
});

test("https by the protocol of the port, or its name", () => {
  assert.deepEqual(keys(slice([ready], { ports: [{ name: "web", port: 8443, appProtocol: "https" }] })), ["https://10.0.0.1:8443"]);
  assert.deepEqual(keys(slice([ready], { ports: [{ name: "https", port: 443 }] })), ["https://10.0.0.1"]);
});

test("IPv6 and names", () => {
  assert.deepEqual(keys(slice([{ addresses: ["fd00::1"] }], { addressType: "IPv6" })), ["http://[fd00::1]:8080"]);
  assert.deepEqual(keys(slice([{ addresses: ["a.example"] }], { addressType: "FQDN" })), ["http://a.example:8080"]);
});

test("what is no endpoint is left out, and a slice without any is one", () => {
  assert.deepEqual(keys(slice([{ addresses: ["not an address", 7, "10.0.0.1"] }, 5 as never, {}])), ["http://10.0.0.1:8080"]); // the cast: files hold anything
  assert.deepEqual(keys(slice([])), []);
  assert.deepEqual(keys({ ...slice([]), endpoints: null }), [], "Kubernetes writes null for none");
});

test("a plain list, bare or under endpoints, in JSON and YAML", () => {
  assert.deepEqual(keys(["http://10.0.0.1:8080", { url: "http://10.0.0.2", weight: 2 }]), ["http://10.0.0.1:8080", "http://10.0.0.2"]);
  assert.deepEqual(keys(readText("endpoints:\n  - http://10.0.0.1:8080\n").value), ["http://10.0.0.1:8080"]);
  assert.deepEqual(keys([]), []);
});

describe("what is neither is an error", () => {
  for (const value of [
    undefined,
    null,
    7,
    "text",
    {},
    { endpoints: 5 },
    { items: [5] },
    { kind: "EndpointSlice", endpoints: 5 },
    [7],
    [{ url: "ftp://a" }],
    [{}],
  ])
    test(JSON.stringify(value) ?? "undefined", () => assert.throws(() => keys(value), TypeError));
});

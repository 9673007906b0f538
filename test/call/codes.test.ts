// gRPC's codes and HTTP's statuses, there and back.
import assert from "node:assert/strict";
import test from "node:test";
import { Code, codeName, codeOf, codeOfHttpStatus, httpStatusOf } from "../../src/call/codes.ts";
import { GRPC_STATUSES } from "../../src/policy/conditions.ts";

test("names and numbers are those of gRPC", () => {
  assert.equal(Object.keys(Code).length, 17);
  for (const [name, code] of Object.entries(Code)) {
    const word = name.toLowerCase().replaceAll("_", "-");
    assert.equal(codeName(code), word);
    if (word !== "ok") assert.equal(codeOf(word as (typeof GRPC_STATUSES)[number]), code); // the cast: all but ok are in the list
  }
  assert.equal(GRPC_STATUSES.length, 16);
});

test("a code turned into a status and back is one that is judged alike", () => {
  const loses = new Map<Code, Code>([
    // google/rpc/code.proto maps several codes to one status
    [Code.OK, Code.FAILED_PRECONDITION],
    [Code.UNKNOWN, Code.INTERNAL],
    [Code.ALREADY_EXISTS, Code.ABORTED],
    [Code.FAILED_PRECONDITION, Code.INVALID_ARGUMENT],
    [Code.OUT_OF_RANGE, Code.INVALID_ARGUMENT],
    [Code.DATA_LOSS, Code.INTERNAL],
  ]);
  for (const code of Object.values(Code)) assert.equal(codeOfHttpStatus(httpStatusOf(code)), loses.get(code) ?? code, codeName(code));
});

test("every status of 400 and above has a code that is not ok", () => {
  for (let status = 400; status <= 599; status++) assert.notEqual(codeOfHttpStatus(status), Code.OK);
  assert.equal(codeOfHttpStatus(599), Code.INTERNAL);
  assert.equal(codeOfHttpStatus(499), Code.CANCELLED);
});

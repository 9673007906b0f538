// The interop test service, read from its proto: as grpc-js takes it, and as descriptors for Connect.
import { fileURLToPath } from "node:url";
import { create, createFileRegistry, type DescService, fromBinary } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema, FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { type GrpcObject, loadPackageDefinition, type ServiceClientConstructor } from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";

const definition = loadSync(fileURLToPath(new URL("interop.proto", import.meta.url)), { defaults: true });

// the casts: a package definition is untyped, and the proto says what is in it
const testing = (loadPackageDefinition(definition)["grpc"] as GrpcObject)["testing"] as GrpcObject;

export const TestService = testing["TestService"] as ServiceClientConstructor;
export const UnimplementedService = testing["UnimplementedService"] as ServiceClientConstructor;

/** A service of the same proto, for Connect. */
export function descriptorOf(service: "TestService" | "UnimplementedService"): DescService {
  const { fileDescriptorProtos } = definition["grpc.testing.Empty"] as { readonly fileDescriptorProtos: readonly Buffer[] }; // the cast: a message has them
  const file = fileDescriptorProtos.map((bytes) => fromBinary(FileDescriptorProtoSchema, bytes));
  for (const { package: name, messageType } of file) {
    for (const { field } of messageType) {
      for (const one of field) if (one.typeName !== "" && !one.typeName.startsWith(".")) one.typeName = `.${name}.${one.typeName}`; // the loader leaves them relative
    }
  }
  const found = createFileRegistry(create(FileDescriptorSetSchema, { file })).getService(`grpc.testing.${service}`);
  if (found === undefined) throw new Error(`interop.proto has no ${service}`);
  return found;
}

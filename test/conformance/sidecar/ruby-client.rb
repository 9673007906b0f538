# A client of ruby-grpc (gRPC's C core) that takes the sidecar for its channel: one call of each kind, each of which the server fails twice.
# Arguments: the sidecar's address, the server's address. Prints what it got, a line for each kind.
require "grpc"

same = ->(text) { text }
sidecar, server = ARGV
stub = GRPC::ClientStub.new(sidecar, :this_channel_is_insecure, channel_args: { "grpc.default_authority" => server })
asked = ->(key) { { "key" => key, "fail" => "2" } }
messages = %w[a b c d e]

puts "unary #{stub.request_response("/peer.Peer/Unary", "x", same, same, metadata: asked["u"])}"
puts "clientStream #{stub.client_streamer("/peer.Peer/ClientStream", messages, same, same, metadata: asked["c"])}"
puts "serverStream #{stub.server_streamer("/peer.Peer/ServerStream", "x", same, same, metadata: asked["s"]).to_a.join(" ")}"
puts "duplex #{stub.bidi_streamer("/peer.Peer/Duplex", messages, same, same, metadata: asked["d"]).to_a.join(" ")}"
begin
  stub.request_response("/peer.Peer/Unary", "x", same, same, metadata: { "key" => "z", "fail" => "9" })
rescue GRPC::BadStatus => e
  puts "failure #{e.code} #{e.details}"
end

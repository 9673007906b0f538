# A gRPC server in another language: four kinds of RPC over plain bytes, whose first attempts fail as the call's metadata asks.
#
#   key         which call it is; attempts are counted for each
#   fail        how many attempts fail
#   code        with which status; default 14, UNAVAILABLE
#   after       how many messages a failing attempt reads first
#   pushback    what a failing attempt says in grpc-retry-pushback-ms
#   headers     "first": a failing attempt sends headers before its status, as the gem does by itself; by gRPC's rules that commits the call
#
# A good attempt answers with its own number and what it has read. The port is printed; the end of the input is the end of the server.
require "grpc"

Bytes = Struct.new(:text) do
  def self.encode(bytes) = bytes.text
  def self.decode(text) = new(text)
end

class PeerService
  include GRPC::GenericService

  self.marshal_class_method = :encode
  self.unmarshal_class_method = :decode
  self.service_name = "peer.Peer"

  rpc :Unary, Bytes, Bytes
  rpc :ClientStream, stream(Bytes), Bytes
  rpc :ServerStream, Bytes, stream(Bytes)
  rpc :Duplex, stream(Bytes), stream(Bytes)
end

class Peer < PeerService
  def initialize
    super
    @attempts = Hash.new(0)
    @lock = Mutex.new
  end

  def unary(request, call)
    attempt = arrived(call)
    fail_if_asked(call, attempt)
    Bytes.new("#{attempt}:#{request.text}")
  end

  def client_stream(call)
    attempt = arrived(call)
    read = read_all(call, attempt)
    Bytes.new("#{attempt}:#{read.join(',')}")
  end

  def server_stream(request, call)
    attempt = arrived(call)
    fail_if_asked(call, attempt)
    (1..5).map { |number| Bytes.new("#{attempt}:#{request.text}#{number}") }
  end

  # The gem's handler for calls of this kind takes the requests and gives an enumerable of responses.
  def duplex(requests, call)
    attempt = arrived(call)
    return failing(requests, call, attempt) if failing?(call, attempt)

    Enumerator.new do |responses|
      requests.each { |request| responses << Bytes.new("#{attempt}:#{request.text}") }
    end
  end

  private

  def arrived(call)
    @lock.synchronize { @attempts[call.metadata["key"]] += 1 }
  end

  def failing?(call, attempt)
    attempt <= call.metadata.fetch("fail", "0").to_i
  end

  def fail_if_asked(call, attempt)
    return unless failing?(call, attempt)

    trailers = call.metadata.key?("pushback") ? { "grpc-retry-pushback-ms" => call.metadata["pushback"] } : {}
    code = call.metadata.fetch("code", "14").to_i
    raise GRPC::BadStatus.new(code, "induced", trailers) if call.metadata["headers"] == "first"

    # Both in one batch make an answer of trailers alone, for which the gem has no word; it says nothing more after a CallError.
    call.instance_variable_get(:@wrapped).instance_variable_get(:@call).run_batch(
      GRPC::Core::CallOps::SEND_INITIAL_METADATA => {},
      GRPC::Core::CallOps::SEND_STATUS_FROM_SERVER => Struct::Status.new(code, "induced", trailers)
    )
    raise GRPC::Core::CallError, "answered"
  end

  def read_all(call, attempt)
    read = []
    call.each_remote_read do |request|
      read << request.text
      fail_if_asked(call, attempt) if read.length >= call.metadata.fetch("after", "1").to_i
    end
    fail_if_asked(call, attempt)
    read
  end

  def failing(requests, call, attempt)
    read = 0
    requests.each { |_request| break if (read += 1) >= call.metadata.fetch("after", "1").to_i }
    fail_if_asked(call, attempt)
  end
end

server = GRPC::RpcServer.new(pool_size: 8, max_waiting_requests: 64)
port = server.add_http2_port("127.0.0.1:0", :this_port_is_insecure)
server.handle(Peer.new)
Thread.new do
  server.wait_till_running
  $stdout.puts port
  $stdout.flush
  $stdin.read
  server.stop
end
server.run

// The peers' configurations: the same work as ours, each in its own words. None is handicapped: one worker each, connections kept to the upstream.

export interface Ports {
  readonly proxy: number;
  readonly upstream: number;
}

/** The upstream of the HTTP/1.1 rows: nginx. */
export const httpUpstream = ({ upstream }: Pick<Ports, "upstream">, folder: string): string => `
daemon off; worker_processes 1; pid ${folder}/upstream.pid; error_log ${folder}/upstream.log crit;
events { worker_connections 4096; }
http {
  access_log off; keepalive_requests 100000000; client_body_temp_path ${folder}/ub; proxy_temp_path ${folder}/up; fastcgi_temp_path ${folder}/uf; uwsgi_temp_path ${folder}/uu; scgi_temp_path ${folder}/us;
  server { listen 127.0.0.1:${upstream} reuseport backlog=4096; location / { default_type application/json; return 200 '{"ok":true}'; } }
}`;

/** That of the gRPC rows: nginx too, which answers every POST with a message from a file, and real trailers. */
export const grpcUpstream = ({ upstream }: Pick<Ports, "upstream">, folder: string): string => `
daemon off; worker_processes 1; pid ${folder}/upstream.pid; error_log ${folder}/upstream.log crit;
events { worker_connections 4096; }
http {
  access_log off; keepalive_requests 100000000; types {} default_type application/grpc; open_file_cache max=10; client_body_temp_path ${folder}/ub; proxy_temp_path ${folder}/up; fastcgi_temp_path ${folder}/uf; uwsgi_temp_path ${folder}/uu; scgi_temp_path ${folder}/us;
  server {
    listen 127.0.0.1:${upstream} http2 reuseport backlog=4096; http2_max_concurrent_streams 1000;
    location / { root ${folder}/docs; error_page 405 =200 $uri; add_trailer grpc-status 0 always; }
  }
}`;

export const nginxProxy = ({ proxy, upstream }: Ports, folder: string, grpc: boolean): string => `
daemon off; worker_processes 1; pid ${folder}/proxy.pid; error_log ${folder}/proxy.log crit;
events { worker_connections 8192; }
http {
  access_log off; keepalive_requests 100000000; client_body_temp_path ${folder}/pb; proxy_temp_path ${folder}/pp; fastcgi_temp_path ${folder}/pf; uwsgi_temp_path ${folder}/pu; scgi_temp_path ${folder}/ps;
  upstream peer { server 127.0.0.1:${upstream}; keepalive 256; keepalive_requests 100000000; }
  server {
    listen 127.0.0.1:${proxy} ${grpc ? "http2" : ""} backlog=4096; ${grpc ? "http2_max_concurrent_streams 1000;" : ""}
    location / { ${grpc ? "grpc_pass grpc://peer;" : 'proxy_pass http://peer; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $http_host;'} }
  }
}`;

export const haproxy = ({ proxy, upstream }: Ports, grpc: boolean): string => `
global
  nbthread 1
  maxconn 8192
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  http-reuse always
frontend in
  bind 127.0.0.1:${proxy} ${grpc ? "proto h2" : ""}
  default_backend out
backend out
  server one 127.0.0.1:${upstream} ${grpc ? "proto h2" : ""}
`;

const retryPolicy = `
                  timeout: 10s
                  retry_policy: { retry_on: "connect-failure,refused-stream,reset,gateway-error,unavailable", num_retries: 2, per_try_timeout: 5s, retry_back_off: { base_interval: 0.025s, max_interval: 0.25s } }`;

const rateLimit = `
          - name: envoy.filters.http.local_ratelimit
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit
              stat_prefix: rl
              token_bucket: { max_tokens: 100000000, tokens_per_fill: 100000000, fill_interval: 0.1s }
              filter_enabled: { default_value: { numerator: 100, denominator: HUNDRED } }
              filter_enforced: { default_value: { numerator: 100, denominator: HUNDRED } }`;

const protection = `
    circuit_breakers: { thresholds: [{ max_connections: 10000, max_pending_requests: 100000, max_requests: 100000, retry_budget: { budget_percent: { value: 20 }, min_retry_concurrency: 3 } }] }
    outlier_detection: { consecutive_5xx: 5, enforcing_success_rate: 0, failure_percentage_threshold: 50, enforcing_failure_percentage: 100, failure_percentage_minimum_hosts: 1, failure_percentage_request_volume: 20, interval: 10s, base_ejection_time: 5s, max_ejection_percent: 100 }`;

/** `policy`: rate limit, timeouts, retry with its budget, caps and outlier detection; else the router alone. */
export const envoy = ({ proxy, upstream }: Ports, grpc: boolean, policy: boolean): string => `
static_resources:
  listeners:
  - name: in
    address: { socket_address: { address: 127.0.0.1, port_value: ${proxy} } }
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: in
          codec_type: AUTO
          http_filters:${policy ? rateLimit : ""}
          - name: envoy.filters.http.router
            typed_config: { "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router }
          route_config:
            virtual_hosts:
            - name: all
              domains: ["*"]
              routes:
              - match: { prefix: / }
                route:
                  cluster: out${policy ? retryPolicy : ""}
  clusters:
  - name: out
    type: STATIC
    connect_timeout: 5s
    load_assignment: { cluster_name: out, endpoints: [{ lb_endpoints: [{ endpoint: { address: { socket_address: { address: 127.0.0.1, port_value: ${upstream} } } } }] }] }${policy ? protection : ""}
${
  grpc
    ? `    typed_extension_protocol_options:
      envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
        "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
        explicit_http_config: { http2_protocol_options: {} }`
    : ""
}
`;

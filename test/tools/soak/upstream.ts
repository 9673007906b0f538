// The upstream of a soak: nginx, which answers, answers at length, fails, and breaks off, by the path.
import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { MESSAGE } from "../../bench/sidecar/load.ts";
import { freePort, nginx, type Protocol, type Running } from "../../bench/sidecar/proxies.ts";

const LONG = 256 * 1024;

const http = `
    location / { default_type application/json; return 200 '{"ok":true}'; }
    location /fails { return 503 'out of order'; }`;

/** A POST of a file is answered with the file, and with real trailers. */
const grpc = `
    error_page 405 =200 $uri; add_trailer grpc-status 0 always;
    location /fails { add_header grpc-status 14; return 200 ''; }`;

export async function soakUpstream(protocol: Protocol, folder: string): Promise<Running> {
  const port = await freePort();
  const docs = join(folder, "docs");
  mkdirSync(docs);
  chmodSync(folder, 0o755); // nginx's worker is another user where root starts it
  const framed = Buffer.alloc(5 + LONG, "a");
  framed.writeUIntBE(LONG, 0, 5);
  for (const name of ["long", "given-up"]) writeFileSync(join(docs, name), framed);
  for (const name of ["plain", "body"]) writeFileSync(join(docs, name), MESSAGE);
  const paths = ["ub", "up", "uf", "uu", "us"].map((name) => join(folder, name));
  const [body, proxy, fastcgi, uwsgi, scgi] = paths;
  return nginx(
    folder,
    port,
    1,
    `
daemon off; worker_processes 1; pid ${folder}/upstream.pid; error_log ${folder}/upstream.log crit;
events { worker_connections 4096; }
http {
  access_log off; keepalive_requests 100000000; types {} default_type application/grpc; open_file_cache max=10;
  client_body_temp_path ${body}; proxy_temp_path ${proxy}; fastcgi_temp_path ${fastcgi}; uwsgi_temp_path ${uwsgi}; scgi_temp_path ${scgi};
  server {
    listen 127.0.0.1:${port} ${protocol === "grpc" ? "http2" : ""} reuseport backlog=4096; http2_max_concurrent_streams 1000;
    root ${docs};${protocol === "grpc" ? grpc : http}
    location /long { root ${docs}; }
    location /given-up { root ${docs}; limit_rate 1m; }
    location /breaks { return 444; }
  }
}`,
  );
}

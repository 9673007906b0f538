// Arbitraries of HTTP/1.1: connections full of valid messages, and the same with a few bytes that are wrong.
import fc from "fast-check";

const token = fc.stringMatching(/^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,12}$/);
const framing = new Set([
  "content-length",
  "transfer-encoding",
  "host",
  "connection",
  "upgrade",
  "expect",
  "keep-alive",
  "trailer",
  "te",
  "content-encoding",
  "content-type",
  "content-range",
]);
const name = token.filter((one) => !framing.has(one.toLowerCase()));
const value = fc.stringMatching(/^(?:[!-~\u0080-\u00ff](?:[\t -~\u0080-\u00ff]{0,20}[!-~\u0080-\u00ff])?)?$/);
const field = fc
  .tuple(name, fc.constantFrom("", " ", "\t", "  "), value, fc.constantFrom("", " ", "\t"))
  .map((parts) => `${parts[0]}:${parts.slice(1).join("")}\r\n`);
const fields = fc.array(field, { maxLength: 5 }).map((all) => all.join(""));
const bytes = fc.uint8Array({ maxLength: 40 }).map((all) => Buffer.from(all).toString("latin1"));

const chunk = fc
  .tuple(bytes, fc.constantFrom("", "0", "00"), fc.boolean(), fc.constantFrom("", ";a", ";a=b", ';a="b c"', ";a;b=c"))
  .filter(([data]) => data !== "")
  .map(([data, zeros, upper, extension]) => {
    const size = data.length.toString(16);
    return `${zeros}${upper ? size.toUpperCase() : size}${extension}\r\n${data}\r\n`;
  });

/** A body, and the fields that frame it. */
const body = fc.oneof(
  fc.constant({ frame: "", text: "" }),
  bytes.map((text) => ({ frame: `Content-Length: ${text.length}\r\n`, text })),
  fc
    .tuple(fc.array(chunk, { maxLength: 4 }), fields, fc.constantFrom("chunked", "Chunked", "CHUNKED"))
    .map(([all, trailers, coding]) => ({ frame: `transfer-encoding: ${coding}\r\n`, text: `${all.join("")}0\r\n${trailers}\r\n` })),
);

const target = fc.oneof(
  fc.stringMatching(/^\/[!$-;=?-Z[\]^-~]{0,20}$/),
  fc.constantFrom("http://shop.internal", "http://shop.internal:8080/a?b=c", "https://[::1]:1/", "HTTP://a?b"),
);
const host = fc.constantFrom("shop.internal", "shop.internal:8080", "127.0.0.1", "[::1]:80", "a_b-c.d");
const method = fc.constantFrom("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "M-SEARCH");

const request = fc
  .tuple(method, target, host, fields, body, fields)
  .map(
    ([verb, to, at, before, { frame, text }, behind]) => `${verb} ${to} HTTP/1.1\r\n${before}Host: ${at}\r\n${frame}${behind}\r\n${text}`,
  );

const status = fc.constantFrom("200 OK", "201 Created", "404 Not Found", "500 ", "299 \xe4", "503");

const response = fc
  .tuple(
    status,
    fields,
    body.filter(({ frame }) => frame !== ""),
    fields,
  )
  .map(([line, before, { frame, text }, behind]) => `HTTP/1.1 ${line}\r\n${before}${frame}${behind}\r\n${text}`);

const noBody = fc
  .tuple(fc.constantFrom("204 No Content", "304 Not Modified", "103 Early Hints", "100 Continue"), fields)
  .map(([line, some]) => `HTTP/1.1 ${line}\r\n${some}\r\n`);

/** One to three requests on one connection. */
export const requests: fc.Arbitrary<string> = fc.array(request, { minLength: 1, maxLength: 3 }).map((all) => all.join(""));
export const responses: fc.Arbitrary<string> = fc
  .array(fc.oneof(response, noBody), { minLength: 1, maxLength: 3 })
  .map((all) => all.join(""));

/** What parsers have been fooled with. */
const poison = fc.constantFrom(
  ...Array.from('\r\n\t :;,\0\x01\x0b\x7f\x80\xff0159afAFgx+-="\\/?#@%'),
  "\r\n",
  "\n\n",
  "\r\n ",
  "\r\r\n",
  "chunked",
  ", chunked",
  "Content-Length: 3\r\n",
  "Transfer-Encoding: chunked\r\n",
  "Host: b\r\n",
  "0\r\n\r\n",
  "HTTP/1.0",
  "Connection: close\r\n",
  "GET / HTTP/1.1\r\n",
);

/** One to four small wrongs in a valid text: something put in, taken out or put in place of something. */
export function mutated(valid: fc.Arbitrary<string>): fc.Arbitrary<string> {
  const edit = fc.record({ at: fc.nat(), remove: fc.constantFrom(0, 0, 1, 1, 2, 5), put: fc.oneof(poison, fc.constant("")) });
  return fc.tuple(valid, fc.array(edit, { minLength: 1, maxLength: 4 })).map(([text, edits]) => {
    let result = text;
    for (const { at, remove, put } of edits) {
      const place = at % (result.length + 1);
      result = result.slice(0, place) + put + result.slice(place + remove);
    }
    return result;
  });
}

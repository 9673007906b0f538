// The Date field of responses (RFC 9110, 6.6.1), written once a second.

let second = 0;
let text = "";

export function dateNow(): string {
  const now = Date.now();
  if (now - second >= 1_000 || now < second) {
    second = now - (now % 1_000);
    text = new Date(second).toUTCString();
  }
  return text;
}

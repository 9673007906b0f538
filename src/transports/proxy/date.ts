// Dates as text: the Date field of responses (RFC 9110, 6.6.1), and times for the access log. What changes once a second is written once a second.

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

let isoSecond = 0;
let isoText = "";

/** A time in milliseconds since 1970, as ISO 8601. */
export function isoTime(ms: number): string {
  const whole = Math.trunc(ms);
  const rest = whole % 1_000;
  if (whole - rest !== isoSecond || isoText === "") {
    isoSecond = whole - rest;
    isoText = new Date(isoSecond).toISOString().slice(0, -4);
  }
  return `${isoText}${rest < 10 ? "00" : rest < 100 ? "0" : ""}${rest}Z`;
}

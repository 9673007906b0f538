// Via: by which proxies a message has come (RFC 9110, 7.6.3).

/** Whether one of them is of that name. */
export function isLooping(via: string | undefined, name: string): boolean {
  if (via === undefined || !via.includes(name)) return false;
  return via.split(",").some((one) => one.trim().split(/[ \t]+/)[1] === name);
}

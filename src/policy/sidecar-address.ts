// The address of a sidecar: an origin of plain HTTP, or the path of a unix socket.

/** The hop to a sidecar is on one machine, so there is no https. */
export const SIDECAR_ADDRESS = /^(?:http:\/\/(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::\d{1,5})?|unix:\/[^\0]{1,107})$/;

export const SIDECAR_ADDRESS_WORDS = 'must be the address of a sidecar such as "http://127.0.0.1:15001" or "unix:/run/premesh.sock"';

// The target of calls that come in: this process. One for all, since their Host field is whatever the caller says, and each target has state of its own.
export const INBOUND_TARGET = "inbound";

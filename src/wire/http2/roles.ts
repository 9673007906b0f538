// Roles: what a connection of HTTP/2, whoever reads it, and its streams are to each other.
import type { Duplex } from "node:stream";
import type { Deadlines } from "../deadlines.ts";
import type { Limits } from "../limits.ts";
import type { Break, Fields } from "../wire.ts";
import type { Encoder } from "./hpack/encoder.ts";
import type { Output } from "./output.ts";
import type { PeerSettings } from "./peer-settings.ts";

/** A stream that sends, as it takes its turn. */
export interface Sending {
  /** Sends a frame of what waits, or tells that nothing does. False: there was nothing that could be sent. */
  pump(): boolean;
}

/** Those that have more to send than they may, and the window that they share. */
export interface Turns {
  /** Bytes of bodies that may go out over the connection. */
  window: number;
  /** It is told when it can send. */
  await(one: Sending): void;
  forget(one: Sending): void;
}

/** A stream, as its connection has it. */
export interface Carried extends Sending {
  readonly id: number;
  /** END_STREAM has come. */
  readonly come: boolean;
  /** It goes over the connection. */
  takenBy(carrier: Carrier, id: number): void;
  /** A header list has come. `fault`: what is wrong with its fields. */
  headed(list: string[], fault: string, ended: boolean): void;
  /** Whether so many bytes may come; what is padding among them is given back at once. */
  admits(bytes: number, padding: number): boolean;
  took(chunk: Uint8Array): void;
  /** END_STREAM has come. */
  finished(trailers: Fields): void;
  /** The peer takes so many bytes more. False: beyond what there can be. */
  grow(bytes: number): boolean;
  /** The peer has reset it, and the connection has let it go. */
  resetBy(code: number): void;
  /** The connection has let it go. */
  lost(why: Break): void;
  /** The peer has done on it what is not allowed. */
  faulty(code: number, what: string): void;
}

/** A connection, as its streams have it. */
export interface Carrier {
  readonly limits: Limits;
  readonly deadlines: Deadlines;
  readonly out: Output;
  readonly sender: Turns;
  readonly encoder: Encoder;
  readonly peer: PeerSettings;
  /** Nothing more is sent or heard. */
  readonly dead: boolean;
  at(id: number): Carried | undefined;
  /** Lets a stream go that is over on both sides. */
  leave(stream: Carried): void;
  /** Resets a stream, and lets it go. */
  reset(stream: Carried, code: number): void;
  /** The peer has made us reset a stream. */
  blame(): void;
}

/** A connection, as whoever reads it has it. */
export interface Told {
  readonly isClient: boolean;
  readonly limits: Limits;
  readonly deadlines: Deadlines;
  readonly socket: Duplex;
  readonly out: Output;
  readonly peer: PeerSettings;
  at(id: number): Carried | undefined;
  leave(stream: Carried, byPeer: boolean): void;
  /** Whether no stream of this id has been there yet. */
  isIdle(id: number): boolean;
  /** Whether we have reset it too, so that the peer's reset was on its way. Asked once. */
  crossed(id: number): boolean;
  /** What is wrong with a frame of a stream that is no more; nothing, where we have reset it, and the frame was on its way. */
  lateCode(id: number): number;
  /** A stream that the peer opens. `fault`: what is wrong with the fields of its head. */
  opened(id: number, list: string[], fault: string, ended: boolean): void;
  /** A head has come in part, or whole. */
  headDue(more: boolean): void;
  /** The peer's SETTINGS have come. `more`: by how much the windows of streams have grown. */
  settled(more: number): void;
  /** The peer takes so many bytes more over the connection. False: beyond what there can be. */
  grow(bytes: number): boolean;
  ponged(): void;
  /** The peer goes (GOAWAY). */
  told(last: number, code: number): void;
  /** Ends the connection for what the peer has sent, and says so to it. */
  fail(code: number, what: string): void;
  /** The same, for what it has sent too much of. */
  calm(what: string): void;
}

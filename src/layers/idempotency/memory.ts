// Memory: answers kept in this process, within bounds of number and size. Keys that are taken are never let go of to make room.
import type { AnswerStore, Begun } from "../../call/answers.ts";
import type { Answer } from "../../call/incoming.ts";
import { newOrder } from "./order.ts";

export interface MemoryBounds {
  /** How many keys are known at a time. */
  readonly records: number;
  /** How many bytes all kept answers have together. */
  readonly bytes: number;
}

/** What was let go of before its time: an answer, whose key then stands for a call that was done; or a key. */
export type MadeRoom = "answer-dropped" | "key-forgotten";

export interface MemoryStore extends AnswerStore {
  count(): { readonly taken: number; readonly done: number; readonly bytes: number };
}

interface Taken {
  readonly asked: string;
  readonly token: string;
  leaseUntil: number;
  expiresAt: number;
}

interface Done {
  readonly key: string;
  readonly asked: string;
  readonly expiresAt: number;
  /** Absent: it could not be kept, or has made room for others. */
  answer: Answer | undefined;
  bytes: number;
}

/** How many of the oldest are looked at with each new key, so that those whose time is over go. */
const LOOKED_AT = 4;

/** `report`: told of what was let go of. */
export function memoryStore(now: () => number, bounds: MemoryBounds, report: (what: MadeRoom) => void): MemoryStore {
  const taken = new Map<string, Taken>();
  const done = new Map<string, Done>();
  /** From the one that was used longest ago to the one used last. */
  const used = newOrder<Done>();
  /** Those of them that have an answer, in the same order. */
  const answered = newOrder<Done>();
  let bytes = 0;
  let tokens = 0;

  function drop(record: Done): void {
    done.delete(record.key);
    used.remove(record);
    dropAnswer(record);
  }

  function dropAnswer(record: Done): void {
    answered.remove(record);
    bytes -= record.bytes;
    record.bytes = 0;
    record.answer = undefined;
  }

  function sweep(at: number): void {
    for (let looked = 0; looked < LOOKED_AT; looked++) {
      const oldest = used.first();
      if (oldest === undefined || oldest.expiresAt > at) break;
      drop(oldest);
    }
    let looked = 0;
    for (const [key, { expiresAt }] of taken) {
      if (expiresAt <= at) taken.delete(key);
      if (++looked >= LOOKED_AT) return;
    }
  }

  function hasRoom(): boolean {
    if (taken.size + done.size < bounds.records) return true;
    const oldest = used.first();
    if (oldest === undefined) return false;
    drop(oldest);
    report("key-forgotten");
    return true;
  }

  function known(key: string, at: number): Done | undefined {
    const record = done.get(key);
    if (record === undefined) return undefined;
    if (record.expiresAt <= at) {
      drop(record);
      return undefined;
    }
    used.last(record);
    if (record.answer !== undefined) answered.last(record);
    return record;
  }

  function mine(key: string, token: string): Taken | undefined {
    const record = taken.get(key);
    return record?.token === token && record.expiresAt > now() ? record : undefined;
  }

  const begin: AnswerStore["begin"] = (key, asked, { leaseMs, keepMs, repeat }) => {
    const at = now();
    const take = (again: boolean): Promise<Begun> => {
      const token = String(++tokens);
      taken.set(key, { asked, token, leaseUntil: at + leaseMs, expiresAt: at + Math.max(keepMs, leaseMs) });
      return Promise.resolve({ state: "begun", token, again });
    };
    const record = known(key, at);
    if (record !== undefined) return Promise.resolve({ state: "done", asked: record.asked, answer: record.answer });
    const holder = taken.get(key);
    if (holder !== undefined && holder.expiresAt > at) {
      if (holder.leaseUntil > at) return Promise.resolve({ state: "running", asked: holder.asked });
      return repeat && holder.asked === asked ? take(true) : Promise.resolve({ state: "lost", asked: holder.asked });
    }
    taken.delete(key);
    sweep(at);
    return hasRoom() ? take(false) : Promise.resolve({ state: "full" });
  };

  return {
    begin,
    renew: (key, token, leaseMs) => {
      const record = mine(key, token);
      if (record === undefined) return Promise.resolve(false);
      record.leaseUntil = now() + leaseMs;
      record.expiresAt = Math.max(record.expiresAt, record.leaseUntil);
      return Promise.resolve(true);
    },
    finish: (key, token, answer, keepMs) => {
      const record = mine(key, token);
      if (record === undefined) return Promise.resolve(false);
      taken.delete(key);
      const size = answer === undefined ? 0 : sizeOf(answer);
      const kept: Done = { key, asked: record.asked, expiresAt: now() + keepMs, answer, bytes: size };
      done.set(key, kept);
      used.last(kept);
      if (answer !== undefined) answered.last(kept);
      bytes += size;
      for (let oldest = answered.first(); oldest !== undefined && bytes > bounds.bytes; oldest = answered.first()) {
        dropAnswer(oldest);
        report("answer-dropped");
      }
      return Promise.resolve(true);
    },
    giveUp: (key, token) => {
      if (mine(key, token) !== undefined) taken.delete(key);
      return Promise.resolve();
    },
    count: () => ({ taken: taken.size, done: done.size, bytes }),
  };
}

/** What an answer takes, about: its bytes, and those of its fields. */
function sizeOf({ fields, body, trailers }: Answer): number {
  let size = body.byteLength;
  for (const [name, value] of fields) size += name.length + value.length;
  for (const [name, value] of trailers) size += name.length + value.length;
  return size;
}

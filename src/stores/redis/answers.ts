// Answers over Redis: each key a hash, changed only by scripts, each one step, on the server's clock.
//
// A token fences: whoever was slower than its lease, and has lost the key to another, changes nothing any more. A key is there for as long as answers are
// kept, also while it is taken, so that what was begun by a process that died is known to have been begun.
import { randomUUID } from "node:crypto";
import type { Redis } from "ioredis";
import type { AnswerStore, Begun } from "../../call/answers.ts";
import type { Answer } from "../../call/incoming.ts";
import type { Link } from "./link.ts";

const NOW = `local time = redis.call('time')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
`;

/** What begins with it does nothing unless the key is the caller's and its work goes on. */
const MINE = `if redis.call('hget', KEYS[1], 'token') ~= ARGV[1] or redis.call('hget', KEYS[1], 'state') ~= 'taken' then return 0 end
`;

const SCRIPTS = {
  /** token, asked, lease, keep, whether to repeat → state, asked, answer */
  begin: `${NOW}
local known = redis.call('hmget', KEYS[1], 'asked', 'until', 'state', 'answer')
local again = false
if known[3] == 'done' then return {'done', known[1], known[4] or ''} end
if known[3] then
  if tonumber(known[2]) > now then return {'running', known[1]} end
  if ARGV[5] ~= '1' or known[1] ~= ARGV[2] then return {'lost', known[1]} end
  again = true
end
redis.call('hset', KEYS[1], 'token', ARGV[1], 'asked', ARGV[2], 'until', now + tonumber(ARGV[3]), 'state', 'taken')
redis.call('pexpire', KEYS[1], math.max(tonumber(ARGV[3]), tonumber(ARGV[4])))
return {again and 'again' or 'begun', ARGV[2]}`,
  /** token, lease */
  renew: `${NOW}${MINE}
local lease = tonumber(ARGV[2])
redis.call('hset', KEYS[1], 'until', now + lease)
if redis.call('pttl', KEYS[1]) < lease then redis.call('pexpire', KEYS[1], lease) end
return 1`,
  /** token, keep, answer or '' */
  finish: `${MINE}
redis.call('hset', KEYS[1], 'state', 'done')
redis.call('hdel', KEYS[1], 'token', 'until')
if ARGV[3] ~= '' then redis.call('hset', KEYS[1], 'answer', ARGV[3]) end
redis.call('pexpire', KEYS[1], ARGV[2])
return 1`,
  /** token */
  giveUp: `${MINE}
redis.call('del', KEYS[1])
return 1`,
} as const;

type Script = (key: string, ...args: readonly (string | number)[]) => Promise<unknown>;

export function newAnswers(link: Link): AnswerStore {
  let defined: Redis | undefined;

  function run(name: keyof typeof SCRIPTS, key: string, ...args: readonly (string | number)[]): Promise<unknown> {
    return link.use((redis) => {
      if (defined !== redis) {
        for (const [script, lua] of Object.entries(SCRIPTS)) redis.defineCommand(`premesh_${script}`, { lua, numberOfKeys: 1 });
        defined = redis;
      }
      const script = (redis as unknown as Record<string, Script>)[`premesh_${name}`] as Script; // the casts: it was just defined
      return script.call(redis, `answers:${key}`, ...args);
    });
  }

  return {
    begin: async (key, asked, { leaseMs, keepMs, repeat }) => {
      const token = randomUUID();
      try {
        return begunOf((await run("begin", key, token, asked, leaseMs, keepMs, repeat ? "1" : "0")) as readonly string[], token); // the cast: what the script gives
      } catch (error) {
        run("giveUp", key, token).catch(() => undefined); // it may have been taken, and its answer be lost
        throw error;
      }
    },
    renew: async (key, token, leaseMs) => (await run("renew", key, token, leaseMs)) === 1,
    finish: async (key, token, answer, keepMs) =>
      (await run("finish", key, token, keepMs, answer === undefined ? "" : textOf(answer))) === 1,
    giveUp: async (key, token) => void (await run("giveUp", key, token)),
  };
}

function begunOf([state = "", asked = "", answer = ""]: readonly string[], token: string): Begun {
  if (state === "begun" || state === "again") return { state: "begun", token, again: state === "again" };
  if (state === "done") return { state, asked, answer: answer === "" ? undefined : answerOf(answer) };
  return { state: state === "running" ? state : "lost", asked };
}

const textOf = ({ body, ...more }: Answer): string => JSON.stringify({ ...more, body: Buffer.from(body).toString("base64") });

function answerOf(text: string): Answer {
  const { body, ...more } = JSON.parse(text) as Omit<Answer, "body"> & { readonly body: string }; // the cast: what textOf has written
  return { ...more, body: Buffer.from(body, "base64") };
}

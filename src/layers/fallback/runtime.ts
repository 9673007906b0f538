// The fallback layer at work.
import { type Build, stateless } from "../../call/build.ts";
import { matcher } from "../../call/classify.ts";
import { codeName } from "../../call/codes.ts";
import { discard } from "../../call/outcome.ts";
import { fallbackReply } from "../../call/reply.ts";
import { REPLAY_BUFFER } from "../../policy/schema.ts";
import { type FallbackDefinition, fallbackDefaults } from "./definition.ts";

export const buildFallback: Build<FallbackDefinition> = (definition, env, { label, index, rest }) => {
  const { response } = definition;
  const replaced = matcher(definition.on ?? fallbackDefaults.on);
  return stateless((next) => async (call) => {
    if ("target" in response) call.payload.keep?.(REPLAY_BUFFER);
    const outcome = await next(call);
    if (!replaced(outcome)) return outcome;
    const { policy } = call.record;
    const detail = { code: codeName(outcome.code), status: outcome.status, by: outcome.by };
    if (!("target" in response)) {
      env.report(call, { layer: label, kind: "fallback", what: "answered", detail: { ...detail, with: response.status } });
      discard(outcome);
      const reply = fallbackReply(definition);
      return { ok: true, response: undefined as never, reply: reply && { ...reply, index }, fallback: policy }; // the cast: a reply stands in for the transport's response
    }
    if (!call.payload.replayable) {
      env.report(call, { layer: label, kind: "fallback", what: "body-not-replayable", detail });
      return outcome;
    }
    const { host, origin } = new URL(response.target);
    env.report(call, { layer: label, kind: "fallback", what: "asked-another-target", detail: { ...detail, target: host } });
    discard(outcome);
    const other = await rest(host)({ ...call, target: host, origin, endpoint: undefined, authority: undefined, type: "retry" });
    return { ...(other as typeof outcome), fallback: policy }; // the cast: stacks are built without knowing the transport's R
  });
};

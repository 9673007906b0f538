// Pass on: hands every exchange to one upstream, with back-pressure both ways and no policy; what the wire is tested and measured with.
import { NO_FIELDS, type Destination, type Exchange, type ResponseReceiver, type Stream, type Upstreams } from "../../src/wire/wire.ts";

/** What a break of the upstream is to the client. */
const STATUS: Readonly<Record<string, number>> = {
  connect: 503,
  forbidden: 403,
  refused: 503,
  reset: 502,
  protocol: 502,
  "too-large": 502,
  slow: 504,
};

/** Handles exchanges by passing them on. */
export function relayTo(upstreams: Upstreams, to: Destination): (exchange: Exchange) => void {
  return (exchange) => {
    let responded = false;
    const back: ResponseReceiver = {
      connected: () => undefined,
      inform: (head) => exchange.inform(head),
      head(head, ended) {
        responded = true;
        exchange.respond(head, ended);
      },
      data(chunk) {
        if (!exchange.write(chunk)) stream.pause();
      },
      end: (trailers) => exchange.end(trailers),
      broken({ why }) {
        if (responded) exchange.reset("reset");
        else exchange.respond({ status: STATUS[why] ?? 502, fields: NO_FIELDS }, true);
      },
      drained: () => exchange.resume(),
    };
    const stream: Stream = upstreams.open(to, exchange.head, exchange.bodyless, back);
    exchange.receive({
      data(chunk) {
        if (!stream.write(chunk)) exchange.pause();
      },
      end(trailers) {
        stream.end(trailers);
      },
      broken: () => stream.reset("cancelled"),
      drained: () => stream.resume(),
    });
  };
}

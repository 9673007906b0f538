// The server that snippets marked `with: connect` call: `baseUrl` is its address, `PaymentsService` its service. It and its sockets let the process end.
import { servePayments } from "../../../examples/connect/payments.ts";

export { PaymentsService } from "../../../examples/connect/payments.ts";

export const { baseUrl } = await servePayments();

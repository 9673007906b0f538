// A program as users have them: what HTTP_PROXY says is done by its libraries, and nothing in it knows of premesh. Takes the server's address.
import axios from "axios";
import got from "got";
import ky from "ky";

const [, , url = ""] = process.argv;

interface Echo {
  readonly method: string;
  readonly body: string;
  readonly attempt: string;
}

const libraries: Readonly<Record<string, { get: () => Promise<Echo>; post: () => Promise<Echo> }>> = {
  fetch: {
    get: async () => (await fetch(`${url}/fetch`)).json() as Promise<Echo>, // the casts of this file: what the server of the test answers
    post: async () => (await fetch(`${url}/fetch`, { method: "POST", body: "paid" })).json() as Promise<Echo>,
  },
  ky: {
    get: () => ky.get(`${url}/ky`, { retry: 0 }).json<Echo>(),
    post: () => ky.post(`${url}/ky`, { retry: 0, body: "paid" }).json<Echo>(),
  },
  axios: {
    get: async () => (await axios.get<Echo>(`${url}/axios`)).data,
    post: async () => (await axios.post<Echo>(`${url}/axios`, "paid")).data,
  },
  got: {
    get: () => got.get(`${url}/got`, { retry: { limit: 0 } }).json<Echo>(),
    post: () => got.post(`${url}/got`, { retry: { limit: 0 }, body: "paid" }).json<Echo>(),
  },
};

for (const [name, { get, post }] of Object.entries(libraries)) {
  const [got_, posted] = [await get(), await post()];
  console.log(`${name}: ${got_.method} at attempt ${got_.attempt}, ${posted.method} ${posted.body} at attempt ${posted.attempt}`);
}

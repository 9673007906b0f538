// premesh/register: puts the policies of files around the global fetch, before the app runs: `node --import premesh/register app.js`.
export { client } from "./registration/client.ts";

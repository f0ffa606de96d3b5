// The server of events that one writes by hand: a hundred come as JSON by HTTP, are parsed, and go to PostgreSQL by COPY. Nobody is
// asked who they are; nothing is put in order or known again. A peer of server.throughput, and close to the least that makes rows
// of events. Arguments: the database's URL, how many connections. Prints its address; ends with the process that started it.

import { createServer } from "node:http";
import pg from "pg";
import { from as copyFrom } from "pg-copy-streams";

const [connectionString, connections] = process.argv.slice(2);
const free = await Promise.all(
  Array.from({ length: Number(connections) }, async () => {
    const client = new pg.Client({ connectionString });
    await client.connect();
    return client;
  }),
);

/** Text for COPY, with the columns of `offline_sync_queue`. */
function rowsOf({ device, first, events }) {
  const now = Date.now();
  let text = "";
  for (const [i, { type, module, data }] of events.entries()) {
    const payload = Buffer.from(JSON.stringify(data)).toString("hex");
    text += `default\t\\\\x${device}\t1\t2\t${first + i}\t${first + i}\t${i}\t0\t0\t${type}\t${module}\t\t${now * 65_536}\t0\t${now}\t\\\\x${payload}\n`;
  }
  return Buffer.from(text);
}

const server = createServer((request, response) => {
  // As many requests are under way as there are connections, so one is always free.
  const client = free.pop();
  const chunks = [];
  request.on("data", (chunk) => chunks.push(chunk));
  request.on("end", () => {
    const copy = client.query(copyFrom("COPY copied FROM STDIN"));
    copy.on("error", (error) => response.writeHead(500).end(String(error)));
    copy.on("finish", () => {
      free.push(client);
      response.end();
    });
    copy.end(rowsOf(JSON.parse(Buffer.concat(chunks).toString())));
  });
});
server.listen(0, "127.0.0.1", () => {
  process.stdout.write(`${JSON.stringify({ url: `http://127.0.0.1:${server.address().port}` })}\n`);
});

// PouchDB's server, as its own documentation sets it up, over LevelDB: a peer for server.throughput. Arguments: the folder its
// packages are in, a folder for data. Prints its address; ends with the process that started it.

import { createRequire } from "node:module";
import { join } from "node:path";

const [packages, data] = process.argv.slice(2);
const require = createRequire(join(packages, "package.json"));
const PouchDB = require("pouchdb").defaults({ prefix: `${data}/` });
const application = require("express")();
// The mode with the least around it: what PouchDB clients replicate with.
const api = require("express-pouchdb")(PouchDB, {
  mode: "minimumForPouchDB",
  inMemoryConfig: true,
  logPath: join(data, "log"),
});
application.use("/", api);
const server = application.listen(0, "127.0.0.1", () => {
  process.stdout.write(`${JSON.stringify({ url: `http://127.0.0.1:${server.address().port}` })}\n`);
});

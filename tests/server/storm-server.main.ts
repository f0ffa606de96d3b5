/** A sync server whose handler leaves one row per event: an effect that happens twice shows as two rows. */

import { createLogger } from "../../js-glue/server/log.ts";
import { startStandalone } from "../../js-glue/server/standalone.ts";

const [db = "", port = "0", key = "", restored = ""] = process.argv.slice(2);
const server = await startStandalone({
  db,
  port: Number(port),
  freshKey: key === "",
  restored: restored !== "",
  log: createLogger("error", 2),
  ...(process.env["OAS_STORM_SCHEMA"] ? { schema: JSON.parse(process.env["OAS_STORM_SCHEMA"]) as object } : {}),
  ...(process.env["OAS_STORM_REDIS"] ? { redis: process.env["OAS_STORM_REDIS"] } : {}),
});
await server.sync.store.write(async (tx) => {
  await tx.connection.run("CREATE TABLE IF NOT EXISTS storm_effect (device text NOT NULL, n bigint NOT NULL)");
});
server.sync.on("storm", async (event, tx) => {
  const { n } = event.eventData as { n: number };
  await tx.run("INSERT INTO storm_effect (device, n) VALUES ($1, $2)", [event.deviceId, n]);
});
process.stdout.write(`${JSON.stringify({ url: server.url, key: server.key ?? key })}\n`);
process.on("SIGTERM", () => void server.stop().then(() => process.exit(0)));

// The sync server, with SQLite in a file beside it, and the page's files.
import { createLogger, Reject, startStandalone } from "offline-ai-sync/server";

const server = await startStandalone({
  db: "sqlite:./notes.sqlite",
  static: "public", // signs pages in by a cookie with a development key: for a developer's machine alone
  log: createLogger("warn", 2),
  port: Number(process.env.PORT ?? 8787),
  async prepare(sync) {
    await sync.store.write(({ connection }) =>
      connection.run(
        "CREATE TABLE IF NOT EXISTS note (id text PRIMARY KEY, author text NOT NULL, made_at bigint NOT NULL, text text NOT NULL)",
      ),
    );
    // Runs in the transaction that also marks the event as done, so its effect happens once, whatever is sent again.
    sync.on("note", async (event, tx) => {
      const { text } = event.eventData;
      if (typeof text !== "string" || text === "") throw new Reject("rejected", "a note has a text");
      await tx.run("INSERT INTO note VALUES (?, ?, ?, ?)", [event.id, event.principal, event.madeAt, text]);
    });
  },
});
process.stdout.write(`listening on ${server.url}\n`);

for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => server.stop().then(() => process.exit(0)));

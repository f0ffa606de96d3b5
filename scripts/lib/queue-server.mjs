// The site of the queue race: our sync server, and a sink for the others that does the same work for each event.
//
// Both write one row an event, under a unique id, in SQLite (WAL, synchronous=FULL), one transaction a request.

import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { bundlePage, sendFile } from "./race-page.mjs";
import { at } from "./run.mjs";
import { weblogEvents } from "./weblog.mjs";

// Isolated pages get clocks of 5 µs instead of 100.
const isolated = {
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-embedder-policy": "require-corp",
};

async function body(request) {
  const parts = [];
  for await (const part of request) parts.push(part);
  return Buffer.concat(parts).toString();
}

export class QueueServer {
  #folder = mkdtempSync(join(tmpdir(), "oas-queue-"));
  #http;
  #sync;
  #sink;
  #insert;
  url;
  key;
  /** Whether the events are those of the real web log. */
  real = false;
  /** Nobody answers a push while this is set: being offline costs no attempt, so the next start waits for nothing. */
  deaf = false;
  /** Ids begin anew with every contender; this keeps them apart. */
  round = 0;

  async start() {
    const race = join(this.#folder, "race");
    await bundlePage("tests/bench/queue/race.mjs", race);
    const { createSyncServer } = await import(pathToFileURL(at("dist/server.js")).href);
    const { DatabaseSync } = await import("@photostructure/sqlite");
    const db = `sqlite:${join(this.#folder, "sync.sqlite")}`;
    this.#sync = await createSyncServer({ db, rateEventsPerMinute: 0, shedding: false });
    this.key = await this.#sync.createApiKey({ tenant: "default", principal: "bench" }, { scopes: ["sync"] });
    this.#sink = new DatabaseSync(join(this.#folder, "sink.sqlite"));
    this.#sink.exec("pragma journal_mode = wal; pragma synchronous = full");
    this.#sink.exec("create table events (round integer, id text, body text, primary key (round, id)) without rowid");
    this.#insert = this.#sink.prepare("insert into events values (?, ?, ?) on conflict do nothing");
    const pages = {
      "/": `<!doctype html><meta charset="utf-8"><title>queue</title><script type="module" src="/race/race.js"></script>`,
    };
    this.#http = createServer((request, response) => {
      this.#answer(request, response, pages, race).catch((error) => {
        response.writeHead(500).end(String(error.message));
      });
    });
    await new Promise((resolve) => this.#http.listen(0, "127.0.0.1", resolve));
    this.url = `http://127.0.0.1:${this.#http.address().port}`;
    return this;
  }

  async #answer(request, response, pages, race) {
    const { pathname, searchParams } = new URL(request.url, this.url);
    if (this.deaf && pathname === "/api/offline-ai/sync/push") return request.socket.destroy();
    if (pathname.startsWith("/api/offline-ai/")) return this.#sync.handler(request, response);
    if (pathname === "/sink") {
      this.#store(JSON.parse(await body(request)));
      return response.writeHead(204).end();
    }
    if (pathname === "/events") {
      const { real, events } = weblogEvents(Number(searchParams.get("count")));
      this.real = real;
      return response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(events));
    }
    if (pathname === "/") return response.writeHead(200, { "content-type": "text/html", ...isolated }).end(pages["/"]);
    // Kept by the browser, as every deployment has it: a browser started anew does not fetch code again.
    const headers = { "cache-control": "max-age=86400, immutable", ...isolated };
    if (!sendFile(response, pathname, "race", race, headers)) response.writeHead(404).end();
  }

  #store(records) {
    this.#sink.exec("begin immediate");
    for (const { id, ...rest } of records) this.#insert.run(this.round, String(id), JSON.stringify(rest));
    this.#sink.exec("commit");
  }

  /** Rows that have arrived in the sink this round. */
  stored() {
    return this.#sink.prepare("select count(*) as n from events where round = ?").get(this.round).n;
  }

  async stop() {
    this.#http.closeAllConnections();
    await new Promise((resolve) => this.#http.close(resolve));
    await this.#sync.close();
    this.#sink.close();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runProgram } from "../lib/program.mjs";
import { Server } from "../lib/server.mjs";

const peak_mb_max = 700;

export const claim = {
  name: "server.hostile",
  title: "Hostile input is refused by name while a well-behaved client is served, in bounded memory",
  bar: `0 answers of 5xx but the named 503 of shedding, 0 refusals without a code, 0 hostile requests that pass, slow senders let go; the process stays the same one, below ${peak_mb_max} MB; every event of the well-behaved client is there`,
  needs: ["build"],
  test: true,
  async run({ quick, log }) {
    const folder = mkdtempSync(join(tmpdir(), "oas-hostile-"));
    const server = new Server(["--db", `sqlite:${join(folder, "data.sqlite")}`, "--log", "warn"], {
      OFFLINE_AI_REQUEST_TIMEOUT: quick ? "2000" : "10000",
      OFFLINE_AI_RATE_EVENTS_PER_MINUTE: "0",
    });
    try {
      await server.start();
      const args = [server.url, server.key, server.pid, quick ? "quick" : "full"];
      const [figures] = await runProgram("tests/server/hostile.main.ts", [{ args }]);
      for (const line of server.log.filter(({ level }) => level >= 50).slice(0, 5)) log(JSON.stringify(line));
      const alive = server.running;
      return {
        ok: figures.problems === 0 && alive && figures.rssPeakMB < peak_mb_max,
        scope: `the packaged server with SQLite as a process of its own; injections and wrong types in every field of every route of /openapi.json; bombs of gzip, brotli, deflate, nesting, keys, counts; damaged frames; requests that are no HTTP; ${quick ? 600 : 3_000} slow senders`,
        figures: { ...figures, alive },
      };
    } finally {
      await server.stop();
      rmSync(folder, { recursive: true, force: true });
    }
  },
};

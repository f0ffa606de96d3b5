import { spawn } from "node:child_process";
import { rmSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { gluePlugin } from "../build.mjs";
import { at, capture } from "../lib/run.mjs";

const clients = 6;

const redisEnv = () =>
  capture("redis-server", ["--version"], { check: false }).code === 0 ? { OAS_STORM_REDIS: redisAddress() } : {};

async function bundle(out) {
  const { build } = await import("esbuild");
  await build({
    absWorkingDir: at(),
    entryPoints: ["tests/server/storm.main.ts", "tests/server/storm-server.main.ts"],
    outdir: out,
    bundle: true,
    splitting: true,
    format: "esm",
    platform: "node",
    packages: "external",
    target: "node20",
    loader: { ".sql": "text" },
    define: { __OAS_VERSION__: '"storm"' },
    logLevel: "warning",
    plugins: [gluePlugin({ inline: false, folder: pathToFileURL(at("dist/")).href })],
  });
}

// Any free port of the loopback will do; Redis carries hints only, so even a stranger on it could do no harm.
const redisAddress = () => `redis://127.0.0.1:${20_000 + (process.pid % 10_000)}`;

function storm(command, args) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd: at(),
      stdio: ["ignore", "pipe", "inherit"],
      env: { ...process.env, ...redisEnv() },
    });
    let text = "";
    child.stdout.on("data", (chunk) => {
      text += chunk;
    });
    child.once("error", reject);
    child.once("exit", (code) => {
      const line = text.trim().split("\n").at(-1);
      if (code === 0 && line) resolve(JSON.parse(line));
      else reject(new Error(`the storm ended with ${code}`));
    });
  });
}

export const claim = {
  name: "server.killstorm",
  title: "A server, and its database, killed again and again while devices send: nothing lost, nothing twice",
  bar: "SQLite and PostgreSQL: 0 acknowledged events lost, 0 effects twice, 0 undelivered; in full 100 SIGKILLs each of the server on either, and of PostgreSQL, with Redis killed at random beside them",
  needs: ["build", "databases"],
  test: true,
  async run({ quick, log }) {
    const out = at("build/js", `storm-${process.pid}`);
    try {
      await bundle(out);
      const program = `${out}/storm.main.js`;
      const kills = quick ? 6 : 100;
      const node = process.execPath;
      const sqlite = await storm(node, [program, "sqlite", String(kills), "0", String(clients)]);
      log(`SQLite: ${JSON.stringify(sqlite)}`);
      const arguments_ = [program, "postgres", String(kills), String(kills), String(clients)];
      const postgres = await storm(at("scripts/pg-test.sh"), ["--durable", "--", node, ...arguments_]);
      log(`PostgreSQL: ${JSON.stringify(postgres)}`);
      const well = ({ lost, twice, undelivered, acked, effects }) =>
        lost === 0 && twice === 0 && undelivered === 0 && acked > 0 && acked === effects;
      return {
        ok: well(sqlite) && well(postgres),
        scope: `${clients} devices with the real client core over HTTP, every lane, some events of one entity; SIGKILL of the server process and of the whole PostgreSQL tree (fsync on) at random moments; each effect is a row written by the handler`,
        figures: { sqlite, postgres },
      };
    } finally {
      rmSync(out, { recursive: true, force: true });
    }
  },
};

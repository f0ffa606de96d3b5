// Programs in TypeScript below tests/, bundled and run as a claim needs them: each prints one JSON line last.

import { spawn } from "node:child_process";
import { rmSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { gluePlugin } from "../build.mjs";
import { at } from "./run.mjs";

/** Bundles TypeScript for Node into `out`; npm packages and dist/ are resolved as a user's program would. */
export async function bundleForNode(sources, out, options = {}) {
  const { build } = await import("esbuild");
  await build({
    absWorkingDir: at(),
    entryPoints: sources,
    outdir: out,
    bundle: true,
    splitting: true,
    chunkNames: "chunk-[hash]",
    format: "esm",
    platform: "node",
    packages: "external",
    target: "node20",
    sourcemap: "linked",
    loader: { ".sql": "text" },
    define: { __OAS_VERSION__: '"test"' },
    logLevel: "warning",
    plugins: [gluePlugin({ inline: false, folder: pathToFileURL(at("dist/")).href })],
    ...options,
  });
}

/** Bundles `sources` into a folder of its own; `remove` deletes it. */
export async function bundlePrograms(sources) {
  const out = at("build/js", `program-${process.pid}-${Math.random().toString(36).slice(2)}`);
  await bundleForNode(sources, out);
  return {
    path: (source) => `${out}/${source.split("/").pop().replace(/\.ts$/, ".js")}`,
    remove: () => rmSync(out, { recursive: true, force: true }),
  };
}

/** Runs a command whose last line of output is JSON, and resolves with it. Rejects when the command fails. */
export function lastLine(command, args, { env = {} } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd: at(),
      stdio: ["ignore", "pipe", "inherit"],
      env: { ...process.env, ...env },
    });
    let text = "";
    child.stdout.on("data", (chunk) => {
      text += chunk;
    });
    child.once("error", reject);
    child.once("exit", (code) => {
      const line = text.trim().split("\n").at(-1);
      if (code === 0 && line) resolve(JSON.parse(line));
      else reject(new Error(`${args.join(" ")} ended with ${code}`));
    });
  });
}

/** Bundles one program and runs it with each list of arguments, beside a PostgreSQL of its own where `postgres` says so. */
export async function runProgram(source, runs, { more = [] } = {}) {
  const programs = await bundlePrograms([source, ...more]);
  try {
    const results = [];
    for (const { args = [], postgres = false, durable = false, env = {} } of runs) {
      const command = [process.execPath, "--enable-source-maps", programs.path(source), ...args.map(String)];
      const line = postgres
        ? await lastLine(at("scripts/pg-test.sh"), [...(durable ? ["--durable"] : []), "--", ...command], { env })
        : await lastLine(command[0], command.slice(1), { env });
      results.push(line);
    }
    return results;
  } finally {
    programs.remove();
  }
}

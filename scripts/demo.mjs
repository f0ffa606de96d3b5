#!/usr/bin/env node
// Two devices and a server on one page; with --check a real browser goes through it and the result is proven.

import { existsSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { build } from "./build.mjs";
import { at, die, helpFor, run } from "./lib/run.mjs";

const usage = `
usage: npm run demo -- [--port 8787] [arguments of \`offline-ai-sync serve\`]
       npm run demo -- --check [--quick]

Builds everything, starts the server with its demo page and prints the address.
  --check  the same as npm run prove -- demo.check`;

const args = process.argv.slice(2);
helpFor(usage, args);
if (args.includes("--check")) {
  const rest = args.filter((argument) => argument !== "--check");
  process.exit(await run(process.execPath, [at("scripts/prove.mjs"), "demo.check", ...rest], { check: false }));
}
await build({ types: false });
const cli = at("dist/cli.js");
if (!existsSync(cli) || !existsSync(at("dist/demo/index.html")))
  die("there is no demo yet: web/ or js-glue/cli is missing");
const port = args.includes("--port") ? [] : ["--port", "8787"];
const db = args.includes("--db") ? [] : ["--db", `sqlite:${at("build/demo.sqlite")}`];
process.argv = [process.argv[0], cli, "serve", "--demo", at("dist/demo"), ...port, ...db, ...args];
await import(pathToFileURL(cli).href);

#!/usr/bin/env node
// Builds what is out of date, then is the server: `offline-ai-sync serve` of this checkout, in this very process.

import { existsSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { build } from "./build.mjs";
import { at, die, helpFor } from "./lib/run.mjs";

const usage = `
usage: npm run serve -- [--port 0] [--db sqlite:<file>|postgres://...] [--json] [arguments of \`offline-ai-sync serve\`]

With --json one line {"url","key"} is printed when the server is ready. All options: npm run serve -- help`;

const args = process.argv.slice(2);
helpFor(usage, args);
await build({ types: false });
const cli = at("dist/cli.js");
if (!existsSync(cli)) die("there is no server yet: js-glue/cli is missing");
process.argv = [process.argv[0], cli, "serve", ...(args[0] === "help" ? ["--help"] : args)];
await import(pathToFileURL(cli).href);

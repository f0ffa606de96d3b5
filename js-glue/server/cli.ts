#!/usr/bin/env node
/** `offline-ai-sync serve`: a sync server from one command, with SQLite unless a database is named. */

import { parseArgs } from "node:util";
import type { Server } from "./context.ts";
import { clientSource } from "./http/client-source.ts";
import { openApi } from "./http/openapi.ts";
import { createLogger, errorFields, type LogLevel } from "./log.ts";
import { runModels } from "./models/cli.ts";
import { allRoutes } from "./routes/table.ts";
import { BASE_PATH } from "./server.ts";
import { readSettings, redacted, serverOptions } from "./settings.ts";
import { startStandalone } from "./standalone.ts";

declare const __OAS_VERSION__: string;

const USAGE = `usage: offline-ai-sync serve [options]
       offline-ai-sync openapi   the OpenAPI 3.1 document of the API
       offline-ai-sync client    a typed client for it, in TypeScript
       offline-ai-sync models    keys and files of the registry of models

  --db <url>       sqlite:<file> or postgres://...   (default: DATABASE_URL, else sqlite:./offline-ai-sync.sqlite)
  --redis <url>    redis://...: hints between several processes (default: REDIS_URL)
  --port <number>  default 8787; 0 = any free port
  --host <name>    default 127.0.0.1
  --static <dir>   also serve these files, under a strict content security policy (--demo is the same)
  --json           print exactly one line {"url","key"} when ready; the key is usable at once
  --restored       this database was restored from a backup: clients compare what they have
  --log <level>    debug, info, warn, error or silent (default info, to standard error)
  --help`;

const print = (text: string): boolean => process.stdout.write(`${text}\n`);

function readArguments(args: readonly string[]) {
  const { values } = parseArgs({
    args: [...args],
    options: {
      db: { type: "string" },
      redis: { type: "string" },
      port: { type: "string" },
      host: { type: "string" },
      static: { type: "string" },
      demo: { type: "string" },
      json: { type: "boolean", default: false },
      restored: { type: "boolean", default: false },
      log: { type: "string", default: "info" },
      help: { type: "boolean", default: false },
    },
  });
  if (values.port !== undefined && !/^\d{1,5}$/.test(values.port)) throw new TypeError("--port must be a number");
  if (!["debug", "info", "warn", "error", "silent"].includes(values.log))
    throw new TypeError(`--log ${values.log} is no level`);
  return values;
}

async function serve(args: readonly string[]): Promise<void> {
  const values = readArguments(args);
  if (values.help) return void print(USAGE);
  const settings = readSettings(process.env);
  const folder = values.static ?? values.demo;
  const log = createLogger(values.log as LogLevel, 2);
  const db = values.db ?? settings.DATABASE_URL;
  log.info(redacted(settings), "settings");
  const running = await startStandalone({
    ...serverOptions(settings),
    log,
    restored: values.restored,
    freshKey: values.json,
    ...(db === undefined ? {} : { db }),
    ...(values.redis === undefined ? {} : { redis: values.redis }),
    ...(values.port === undefined ? {} : { port: Number(values.port) }),
    ...(values.host === undefined ? {} : { host: values.host }),
    ...(folder === undefined ? {} : { static: folder }),
  });

  let stopping = false;
  const stop = (): void => {
    if (stopping) process.exit(1); // the second signal does not wait
    stopping = true;
    running.stop().then(
      () => process.exit(0),
      (error: unknown) => {
        log.error(errorFields(error), "could not stop cleanly");
        process.exit(1);
      },
    );
  };
  process.on("SIGTERM", stop);
  process.on("SIGINT", stop);

  if (values.json) {
    print(JSON.stringify({ url: running.url, key: running.key }));
    return;
  }
  print(`listening on ${running.url}`);
  if (running.key) print(`development key (shown once): ${running.key}`);
}

/** The API's document, or a typed client made from it, without a server. */
function describeApi(asClient: boolean): void {
  // Only what routes say of themselves is read; none of them is called.
  const document = openApi(allRoutes({} as Server), BASE_PATH, __OAS_VERSION__);
  print(asClient ? clientSource(document) : JSON.stringify(document, null, 2));
}

function fail(error: unknown): never {
  process.stderr.write(`offline-ai-sync: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1);
}

const [command, ...rest] = process.argv.slice(2);
if (command === "serve") {
  serve(rest).catch(fail);
} else if (command === "models") {
  runModels(rest).then(print, fail);
} else if (command === "openapi" || command === "client") {
  describeApi(command === "client");
} else if (command === undefined || command === "help" || command === "--help") {
  print(USAGE);
} else {
  process.stderr.write(`offline-ai-sync: unknown command '${command}'\n${USAGE}\n`);
  process.exitCode = 2;
}

/** The commands that need a server's packages: `serve`, with SQLite unless a database is named; `models`, `openapi`, `client`. */

import { parseArgs } from "node:util";
import type { Server } from "../server/context.ts";
import { clientSource } from "../server/http/client-source.ts";
import { openApi } from "../server/http/openapi.ts";
import { createLogger, errorFields, type LogLevel } from "../server/log.ts";
import { runModels } from "../server/models/cli.ts";
import { allRoutes } from "../server/routes/table.ts";
import { BASE_PATH } from "../server/server.ts";
import { readSettings, redacted, serverOptions } from "../server/settings.ts";
import { startStandalone } from "../server/standalone.ts";

declare const __OAS_VERSION__: string;

const USAGE = `usage: offline-ai-sync serve [options]

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

/** Rejects with what went wrong; of `serve`, once it listens, only the process's end is the end. */
export async function runServerCommand(command: string, args: readonly string[]): Promise<void> {
  if (command === "serve") await serve(args);
  else if (command === "models") print(await runModels([...args]));
  else describeApi(command === "client");
}

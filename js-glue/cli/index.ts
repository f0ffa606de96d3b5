#!/usr/bin/env node
/** `offline-ai-sync <command>`. What a command needs is loaded with it, so `init`, `copy` and `doctor` work without a server's packages. */

import { copy } from "./copy.ts";
import { doctor } from "./doctor.ts";
import { init } from "./init.ts";
import { SERVER_PACKAGES } from "./server-packages.ts";

declare const __OAS_VERSION__: string;

const USAGE = `usage: offline-ai-sync <command> [options]        (each knows --help)
       offline-ai-sync --version

  init [dir]    a small project that works as it is: a page, a Service Worker, a server with SQLite
  copy <dir>    put WebAssembly and Service Worker where your server or bundler serves files from
  doctor <url>  look at a deployed page: worker, policy, headers, types of files, the server behind it
  serve         a sync server, with SQLite unless a database is named
  models        keys and files of the registry of models
  openapi       the OpenAPI 3.1 document of the API
  client        a typed client for it, in TypeScript`;

const SERVER_COMMANDS: ReadonlySet<string> = new Set(["serve", "models", "openapi", "client"]);

async function server(command: string, args: readonly string[]): Promise<number> {
  try {
    const { runServerCommand } = await import("./server.ts");
    await runServerCommand(command, args);
    return 0;
  } catch (error) {
    const { code, message } = error as { readonly code?: unknown; readonly message?: unknown };
    if (code !== "ERR_MODULE_NOT_FOUND") throw error;
    const [, missing = "one"] = /'([^']+)'/.exec(String(message)) ?? [];
    throw new Error(
      `a server needs packages that pages do not, and '${missing}' is not installed. All of them:\n\n  npm install ${SERVER_PACKAGES.join(" ")}\n`,
      { cause: error },
    );
  }
}

async function run([command, ...args]: readonly string[]): Promise<number> {
  if (command === "--version") {
    process.stdout.write(`${__OAS_VERSION__}\n`);
    return 0;
  }
  if (command === "init") return init(args);
  if (command === "copy") return copy(args);
  if (command === "doctor") return doctor(args);
  if (command !== undefined && SERVER_COMMANDS.has(command)) return server(command, args);
  const asked = command === undefined || command === "help" || command === "--help";
  (asked ? process.stdout : process.stderr).write(
    asked ? `${USAGE}\n` : `offline-ai-sync: unknown command '${command}'\n${USAGE}\n`,
  );
  return asked ? 0 : 2;
}

run(process.argv.slice(2)).then(
  (code) => {
    process.exitCode = code;
  },
  (error: unknown) => {
    process.stderr.write(`offline-ai-sync: ${error instanceof Error ? error.message : String(error)}\n`);
    process.exit(1);
  },
);

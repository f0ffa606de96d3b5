/** `offline-ai-sync init`: a small project that works as it is. The files are those of the quick start, and a server. */

import { copyFile, mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { SERVER_PACKAGES } from "./server-packages.ts";

const USAGE = `usage: offline-ai-sync init [dir]

Writes a page that takes notes without a network, and a server with SQLite that gets each of them once, into <dir>
(default: here). The directory must be empty; git's own files do not count.`;

const STARTER = join(dirname(fileURLToPath(import.meta.url)), "starter");

interface Manifest {
  readonly version: string;
  readonly peerDependencies: Readonly<Record<string, string>>;
  readonly devDependencies: Readonly<Record<string, string>>;
}

const say = (text: string): boolean => process.stdout.write(`${text}\n`);

/** A name npm takes, as near to the folder's as can be. */
function packageName(folder: string): string {
  const name = basename(resolve(folder))
    .toLowerCase()
    .replaceAll(/[^a-z0-9._-]+/g, "-")
    .replaceAll(/^[._-]+|[._-]+$/g, "");
  return name === "" ? "notes" : name;
}

async function manifestOf(folder: string): Promise<string> {
  const own = JSON.parse(await readFile(join(STARTER, "../../package.json"), "utf8")) as Manifest;
  const wanted = SERVER_PACKAGES.map((name) => [name, own.peerDependencies[name] ?? "*"] as const);
  const dependencies = Object.fromEntries([...wanted, ["offline-ai-sync", `^${own.version}`] as const].sort());
  return `${JSON.stringify(
    {
      name: packageName(folder),
      private: true,
      type: "module",
      scripts: {
        build: "offline-ai-sync copy public && esbuild app.js --bundle --format=esm --outdir=public",
        start: "node server.js",
      },
      dependencies,
      devDependencies: { esbuild: own.devDependencies["esbuild"] ?? "*" },
    },
    null,
    2,
  )}\n`;
}

/** What lies in the folder and is somebody's; the folder may be missing. */
async function contents(folder: string): Promise<readonly string[]> {
  try {
    return (await readdir(folder)).filter((name) => name !== ".git");
  } catch (error) {
    if ((error as { readonly code?: unknown }).code === "ENOENT") return [];
    throw error;
  }
}

async function write(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  const entries = await readdir(STARTER, { recursive: true, withFileTypes: true });
  for (const entry of entries.filter((one) => one.isFile())) {
    const from = join(entry.parentPath, entry.name);
    // npm leaves files of this name out of a package.
    const to = join(folder, from.slice(STARTER.length + 1).replace(/^gitignore$/, ".gitignore"));
    await mkdir(dirname(to), { recursive: true });
    await copyFile(from, to);
  }
  await writeFile(join(folder, "package.json"), await manifestOf(folder));
}

/** The exit code: 1 when the directory is somebody's already. */
export async function init(args: readonly string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: { help: { type: "boolean" } },
  });
  if (values.help || positionals.length > 1) {
    say(USAGE);
    return values.help ? 0 : 2;
  }
  const [folder = "."] = positionals;
  const found = await contents(folder);
  if (found.length > 0) {
    process.stderr.write(
      `offline-ai-sync: ${folder} is not empty (${found.slice(0, 3).join(", ")}${found.length > 3 ? ", …" : ""}); nothing was written. Name an empty or a new directory.\n`,
    );
    return 1;
  }
  await write(folder);
  const steps = [...(folder === "." ? [] : [`cd ${folder}`]), "npm install", "npm run build", "npm start"];
  say(`A page and its server are in ${resolve(folder)}. Next:\n\n${steps.map((step) => `  ${step}`).join("\n")}\n`);
  return 0;
}

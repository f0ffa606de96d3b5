/** `offline-ai-sync copy`: files that no bundler moves by itself, placed where a page finds them. */

import { copyFile, mkdir, readdir, readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const USAGE = `usage: offline-ai-sync copy <dir> [--models] [--check]

Places core.wasm, documents.wasm and infer.wasm (each with its baseline for old browsers) and sw.classic.js in <dir>.
  --models  also the weights of the five models, under <dir>/models, and sw.models.classic.js
  --check   copies nothing; fails when a file is missing or from another version`;

const FILES: readonly string[] = [
  ...["core", "documents", "infer"].flatMap((name) => [`${name}.wasm`, `${name}-base.wasm`]),
  "sw.classic.js",
];
const PACKAGE = dirname(fileURLToPath(import.meta.url));

const say = (text: string): boolean => process.stdout.write(`${text}\n`);

async function same(from: string, to: string): Promise<boolean> {
  const [one, other] = await Promise.all([from, to].map((file) => readFile(file).catch(() => undefined)));
  return one !== undefined && other !== undefined && one.equals(other);
}

async function filesToCopy(models: boolean): Promise<readonly string[]> {
  if (!models) return FILES;
  const entries = await readdir(join(PACKAGE, "models"), { recursive: true, withFileTypes: true });
  const weights = entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(PACKAGE.length + 1));
  return [...FILES, "sw.models.classic.js", ...weights.sort()];
}

/** The exit code: 1 when --check finds something. */
export async function copy(args: readonly string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: { models: { type: "boolean", default: false }, check: { type: "boolean" }, help: { type: "boolean" } },
  });
  const [folder] = positionals;
  if (values.help || folder === undefined || positionals.length > 1) {
    say(USAGE);
    return values.help ? 0 : 2;
  }
  let stale = 0;
  for (const name of await filesToCopy(values.models)) {
    const [from, to] = [join(PACKAGE, name), join(folder, name)];
    const fresh = await same(from, to);
    if (values.check) {
      if (!fresh) stale++;
      say(`${fresh ? "ok     " : "STALE  "} ${to}`);
      continue;
    }
    if (!fresh) {
      await mkdir(dirname(to), { recursive: true });
      await copyFile(from, to);
    }
    say(`${fresh ? "as it was" : "copied   "} ${to}`);
  }
  if (stale > 0) say(`\n${stale} files are missing or of another version: offline-ai-sync copy ${folder}`);
  return stale > 0 ? 1 : 0;
}

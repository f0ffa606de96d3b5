// Packages that a claim compares us with or compiles against: measured and never shipped, so they stand in no lockfile of ours.

import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { at, run, say } from "./run.mjs";

/** The folder they are installed in, exact versions, once per checkout and list. */
export async function installPeers(name, dependencies, what) {
  const folder = at("build/peers", name);
  const wanted = JSON.stringify({ private: true, dependencies });
  const manifest = `${folder}/package.json`;
  const present = existsSync(`${folder}/node_modules/.package-lock.json`);
  if (present && existsSync(manifest) && readFileSync(manifest, "utf8") === wanted) return folder;
  say(`installing ${what} (build/peers)`);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  writeFileSync(manifest, wanted);
  await run("npm", ["install", "--prefix", folder, "--no-audit", "--no-fund", "--loglevel=error"], {
    cwd: folder,
    stdio: ["ignore", "ignore", "inherit"],
  });
  return folder;
}

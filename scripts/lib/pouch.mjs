// The packages of PouchDB's server: a peer that is measured and never shipped, so it stands in no lockfile of ours.

import { existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { at, run, say } from "./run.mjs";

const packages = { pouchdb: "9.0.0", "express-pouchdb": "4.2.0", express: "4.21.2" };

/** The folder they are installed in; once per checkout. */
export async function pouchPackages() {
  const folder = at("build/peers/pouchdb");
  if (existsSync(`${folder}/node_modules/.package-lock.json`)) return folder;
  say("installing PouchDB's server beside us (build/peers)");
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  writeFileSync(`${folder}/package.json`, JSON.stringify({ private: true, dependencies: packages }));
  await run("npm", ["install", "--prefix", folder, "--no-audit", "--no-fund", "--loglevel=error"], {
    cwd: folder,
    stdio: ["ignore", "ignore", "inherit"],
  });
  return folder;
}

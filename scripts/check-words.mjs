#!/usr/bin/env node
// Nothing in the repository may name the machine it was made on, or the host a package happened to come from.

import { readFileSync } from "node:fs";
import { at, capture, helpFor } from "./lib/run.mjs";

helpFor(`
usage: node scripts/check-words.mjs

Searches every file that git tracks, or would track, for absolute paths of one machine and for package hosts.`);

// Joined from halves, so that this file does not find itself.
const forbidden = [
  { what: "a path of one machine", pattern: new RegExp(`(^|[\\s"'\`=(:])/(${["wo" + "rk", "ro" + "ot"].join("|")})/`) },
  { what: "a home folder", pattern: new RegExp(`/ho${"me"}/[a-z]|/Us${"ers"}/[a-zA-Z]`) },
  {
    what: "a package host",
    pattern: new RegExp(
      [
        "registry\\.npm" + "js",
        "registry\\.yarn" + "pkg",
        "deb\\.deb" + "ian\\.org",
        "arti" + "factory",
        "security\\.deb" + "ian",
      ].join("|"),
    ),
  },
  { what: "a package address in the lockfile", pattern: new RegExp(`"resol${"ved"}": "http`) },
];

const binary = /\.(bin|wasm|png|ico|jpg|webp|woff2?|gz|br)$/;
const files = capture("git", ["ls-files", "--cached", "--others", "--exclude-standard"])
  .stdout.split("\n")
  .filter(Boolean);
let found = 0;
for (const file of files) {
  if (binary.test(file)) continue;
  let text;
  try {
    text = readFileSync(at(file), "utf8");
  } catch (error) {
    if (error.code === "ENOENT" || error.code === "EISDIR") continue; // deleted but not committed yet
    throw error;
  }
  text.split("\n").forEach((line, index) => {
    for (const { what, pattern } of forbidden) {
      if (!pattern.test(line)) continue;
      found++;
      console.error(`${file}:${index + 1}: ${what}: ${line.trim().slice(0, 120)}`);
    }
  });
}
if (found > 0) process.exit(1);

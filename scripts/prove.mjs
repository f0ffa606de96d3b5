#!/usr/bin/env node
// Every figure the README states has a claim here that measures it again and says whether it holds.
//
// A claim is a module scripts/claims/<claim>.mjs that exports
//   claim: {
//     name, title,               // the name is the file's name; the title one sentence
//     bar,                       // what must hold, in words and numbers
//     quickSeconds,              // how long --quick takes at most; 60 unless declared, 300 at most
//     needs: [],                 // of "build", "native", "browser", "browsers", "databases", "operations": made ready before the run
//     test: true,                // npm test runs it with --quick
//     run({ quick, log })        // -> { ok, scope, figures }, or { ok: null, skipped } when its data is not here
//   }

import { readdirSync } from "node:fs";
import { fileURLToPath, pathToFileURL } from "node:url";
import { ensureModules, ensureToolchain } from "./lib/ensure.mjs";
import { machine } from "./lib/machine.mjs";
import { at, die, helpFor } from "./lib/run.mjs";

const usage = `
usage: npm run prove -- <claim> [--quick]
       npm run prove -- --list

Measures one claim and ends with one JSON line {"claim","ok","scope","figures","bar","machine"}.
  --quick  a smaller stated n against the same bar
  --list   every claim with its bar
exit code: 0 the bar holds, 1 it does not, 77 the data it needs is not here`;

const exit_skipped = 77;

const claimNames = () =>
  readdirSync(at("scripts/claims"))
    .filter((name) => name.endsWith(".mjs"))
    .map((name) => name.slice(0, -".mjs".length))
    .sort();

async function load(name) {
  const { claim } = await import(pathToFileURL(at("scripts/claims", `${name}.mjs`)).href);
  if (claim?.name !== name || typeof claim.run !== "function" || typeof claim.bar !== "string") {
    throw new Error(`scripts/claims/${name}.mjs exports no well-formed \`claim\``);
  }
  return claim;
}

/** Every claim, by name; rejects when one of them is not well-formed. */
export const allClaims = () => Promise.all(claimNames().map(load));

async function list() {
  for (const name of claimNames()) {
    try {
      const { title, bar, quickSeconds = 60, test = false } = await load(name);
      console.log(
        `${name.padEnd(20)} ${title}\n${"".padEnd(20)}   bar: ${bar} (--quick: <= ${quickSeconds} s${test ? ", in npm test" : ""})`,
      );
    } catch (error) {
      console.log(`${name.padEnd(20)} cannot be loaded: ${error.message}`);
      process.exitCode = 1;
    }
  }
}

async function prepare(needs) {
  const wasm = needs.includes("build");
  const wanted = Object.fromEntries(
    ["browser", "browsers", "databases", "operations"].map((name) => [name, needs.includes(name)]),
  );
  await ensureToolchain({ wasm, ...wanted });
  if (wasm) await (await import("./build.mjs")).build();
}

async function prove(name, quick) {
  const claim = await load(name);
  await prepare(claim.needs ?? []);
  const log = (text) => console.log(text);
  log(`${name}: ${claim.title}${quick ? " (quick)" : ""}`);
  const start = performance.now();
  let result;
  try {
    result = await claim.run({ quick, log });
  } catch (error) {
    log(error.stack ?? String(error));
    result = { ok: false, scope: "stopped by an error", figures: { error: String(error.message ?? error) } };
  }
  const seconds = (performance.now() - start) / 1000;
  log(`took ${seconds.toFixed(1)} s`);
  const { ok, scope = "", figures = {}, skipped } = result;
  const line = { claim: name, ok, scope, figures, bar: claim.bar, machine: machine() };
  if (ok === null) line.skipped = skipped ?? "no data";
  console.log(JSON.stringify(line));
  return ok === null ? exit_skipped : ok === true ? 0 : 1;
}

async function main() {
  const args = process.argv.slice(2);
  helpFor(usage, args);
  await ensureModules();
  if (args.includes("--list")) {
    await list();
  } else {
    const names = args.filter((argument) => !argument.startsWith("--"));
    const unknown = args.find((argument) => argument.startsWith("--") && argument !== "--quick");
    if (unknown || names.length !== 1) die(usage.trim(), 2);
    if (!claimNames().includes(names[0]))
      die(`prove: unknown claim '${names[0]}'; npm run prove -- --list shows them all`, 2);
    // A claim may leave a browser or a server behind it; the answer is final once it is printed.
    process.exit(await prove(names[0], args.includes("--quick")));
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main();

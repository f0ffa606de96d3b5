// Running other programs, and the small manners all scripts share. Node built-ins only: this runs before npm ci.

import { spawn, spawnSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { dirname, join, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";

export const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

/** A path inside the checkout. */
export const at = (...parts) => join(root, ...parts);

export const say = (text) => process.stderr.write(`${text}\n`);

/** Ends the script with a message: for what the person at the keyboard has to mend. */
export function die(text, code = 1) {
  say(text);
  process.exit(code);
}

/** Prints `usage` and ends when the arguments ask for help. */
export function helpFor(usage, args = process.argv.slice(2)) {
  if (args[0] === "--help" || args[0] === "-h") {
    process.stdout.write(`${usage.trim()}\n`);
    process.exit(0);
  }
}

/**
 * Runs a program with its output shown, from the root of the checkout unless `cwd` is given. Resolves with the exit code
 * when `check` is false, and ends the script on a failure otherwise.
 */
export function run(command, args = [], { check = true, cwd = root, env = {}, stdio = "inherit" } = {}) {
  return new Promise((resolve) => {
    const child = spawn(command, args, { cwd, stdio, env: { ...process.env, ...env } });
    const forward = (signal) => child.kill(signal);
    process.on("SIGINT", forward).on("SIGTERM", forward);
    const done = (code) => {
      process.off("SIGINT", forward).off("SIGTERM", forward);
      if (check && code !== 0) die(`failed (${code}): ${[command, ...args].join(" ")}`, code);
      resolve(code);
    };
    child.on("error", (error) => {
      say(`${command}: ${error.message}`);
      done(127);
    });
    child.on("exit", (code, signal) => done(code ?? (signal === "SIGINT" ? 130 : 1)));
  });
}

/** Runs a program quietly and returns what it printed; its output is shown only when it fails. */
export function capture(command, args = [], { check = true, cwd = root, env = {}, input } = {}) {
  const result = spawnSync(command, args, {
    cwd,
    input,
    encoding: "utf8",
    env: { ...process.env, ...env },
    maxBuffer: 1 << 28,
  });
  if (check && result.status !== 0) {
    say(`${result.stdout ?? ""}${result.stderr ?? ""}`.split("\n").slice(-60).join("\n"));
    die(`failed (${result.status ?? result.error?.message}): ${[command, ...args].join(" ")}`);
  }
  return { code: result.status ?? 127, stdout: result.stdout ?? "", stderr: result.stderr ?? "" };
}

/** Every file below `folder` that `accept` likes, sorted, as paths relative to the checkout. */
export function filesBelow(folder, accept = () => true) {
  const found = [];
  const walk = (path) => {
    for (const entry of readdirSync(path, { withFileTypes: true })) {
      const full = join(path, entry.name);
      if (entry.isDirectory()) {
        if (entry.name !== "node_modules" && !entry.name.startsWith(".")) walk(full);
      } else {
        const name = relative(root, full).split(sep).join("/");
        if (accept(name)) found.push(name);
      }
    }
  };
  if (existsSync(at(folder))) walk(at(folder));
  return found.sort();
}

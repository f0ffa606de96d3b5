// The package as npm would publish it, and the page of notes that quick start and starter share.

import { spawn } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { at, capture } from "./run.mjs";

/** Packs the package into the folder; the tarball's path. */
export function pack(folder) {
  const { stdout } = capture("npm", ["pack", "--silent", "--pack-destination", folder], { cwd: at() });
  return join(folder, stdout.trim().split("\n").at(-1));
}

/** Starts a server by a shell command; resolves with the address it prints, and a way to end it and all it has started. */
export function serve(command, cwd, env = {}) {
  const child = spawn("sh", ["-c", `exec ${command}`], {
    cwd,
    stdio: ["ignore", "pipe", "ignore"],
    detached: true, // a group of its own: npm does not hand signals on to what it starts
    env: { ...process.env, ...env },
  });
  const ended = new Promise((resolve) => child.once("close", resolve)); // the last of them has let go of the output
  const end = () => {
    if (child.exitCode === null) process.kill(-child.pid, "SIGTERM");
    return ended;
  };
  return new Promise((resolve, reject) => {
    child.once("exit", (code) => reject(new Error(`'${command}' ended with ${code}`)));
    createInterface({ input: child.stdout }).on("line", (line) => {
      const [, url] = /listening on (\S+)/.exec(line) ?? [];
      if (url) resolve({ url, end });
    });
  });
}

/**
 * Adds a note, one without a network, and one after a reload without a network; resolves with the time (of `performance`) at which
 * the first was at the server, when all of them are.
 */
export async function addNotes(context, url) {
  const page = await context.newPage();
  await page.goto(url);
  const add = async (text) => {
    await page.fill("input", text);
    await page.click("button");
  };
  const says = (text) =>
    page.waitForFunction((text) => document.body.textContent.includes(text), text, { timeout: 30_000 });
  await add("first");
  await says("first: applied at the server");
  const first = performance.now();
  await page.evaluate(() => navigator.serviceWorker.ready.then(() => undefined));
  await context.setOffline(true);
  await add("second");
  await says("second: stored on this device");
  await page.reload();
  await says("1 waiting");
  await add("third");
  await says("third: stored on this device");
  await context.setOffline(false);
  await says("third: applied at the server");
  await says("0 waiting");
  await page.close();
  return first;
}

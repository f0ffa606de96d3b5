// One at a time: two commands that build into the same folder wait for each other instead of spoiling it.

import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { at, say } from "./run.mjs";

const held = new Set();
process.on("exit", () => {
  for (const path of held) rmSync(path, { recursive: true, force: true });
});

function take(path) {
  try {
    mkdirSync(path);
    writeFileSync(`${path}/pid`, String(process.pid));
    return true;
  } catch (error) {
    if (error.code !== "EEXIST") throw error;
    return false;
  }
}

// A holder that was killed cannot give its lock back.
function isStale(path) {
  try {
    process.kill(Number(readFileSync(`${path}/pid`, "utf8")), 0);
    return false;
  } catch (error) {
    // No file yet: the holder is between mkdir and write. No such process: it is gone.
    return error.code === "ESRCH";
  }
}

/** Runs `work` while no other process holds the lock `name` of this checkout; a lock held by this process nests. */
export async function withLock(name, work) {
  const path = at("build/locks", name);
  if (held.has(path)) return work();
  mkdirSync(at("build/locks"), { recursive: true });
  for (let tries = 0; !take(path); tries++) {
    if (isStale(path)) rmSync(path, { recursive: true, force: true });
    else if (tries === 20) say(`waiting for another command to finish (${name})`);
    await sleep(100);
  }
  held.add(path);
  try {
    return await work();
  } finally {
    held.delete(path);
    rmSync(path, { recursive: true, force: true });
  }
}

// A real Chromium on a profile that lies on disk, for proofs: started, killed and started again on the same profile.

import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export function chromiumPath() {
  for (const path of [process.env.OAS_CHROMIUM, process.env.CHROMIUM_PATH, "/usr/bin/chromium"])
    if (path && existsSync(path)) return path;
  const found = execFileSync("sh", ["-c", "command -v chromium chromium-browser google-chrome | head -1"])
    .toString()
    .trim();
  if (found === "") throw new Error("there is no Chromium: run scripts/toolchain.sh --browser");
  return found;
}

// Background Sync as the browser does it, but tried again after seconds instead of minutes: the proof cannot wait.
const quick_sync = [
  "--force-fieldtrials=BackgroundSync/Quick",
  "--force-fieldtrial-params=BackgroundSync.Quick:max_sync_attempts/50/initial_retry_delay_sec/4/retry_delay_factor/1",
];

export const flags = [
  "--no-sandbox",
  "--disable-gpu",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** What a killed Chromium leaves in its profile, and would ask about. */
export const locks = ["SingletonLock", "SingletonSocket", "SingletonCookie"];

export class Profile {
  #folder = mkdtempSync(join(tmpdir(), "oas-proof-"));
  context;

  async start({ quickSync = false, more = [] } = {}) {
    const { chromium } = await import("playwright-core");
    this.context = await chromium.launchPersistentContext(this.#folder, {
      executablePath: chromiumPath(),
      headless: true,
      args: [...flags, ...(quickSync ? quick_sync : []), ...more],
    });
    return this.context;
  }

  /** The browser's processes: those whose command line names this profile. */
  #pids() {
    return readdirSync("/proc")
      .filter((name) => /^\d+$/.test(name))
      .filter((pid) => {
        try {
          return readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(this.#folder);
        } catch {
          return false; // ended meanwhile
        }
      })
      .map(Number);
  }

  /** SIGKILL for the browser process and all its children: no farewell to anyone. */
  async kill() {
    for (const pid of this.#pids()) {
      try {
        process.kill(pid, "SIGKILL");
      } catch {
        // Its parent took it along.
      }
    }
    while (this.#pids().length > 0) await new Promise((resolve) => setTimeout(resolve, 50));
    this.context = undefined;
    for (const name of locks) rmSync(join(this.#folder, name), { force: true });
  }

  async stop() {
    await this.context?.close();
    this.context = undefined;
  }

  /** Of a stopped browser: what the system still has in memory of the profile's databases is read from the disk next time. */
  coolDown() {
    const folder = join(this.#folder, "Default", "IndexedDB");
    for (const name of readdirSync(folder, { recursive: true })) {
      const file = join(folder, name);
      if (statSync(file).isFile()) execFileSync("dd", [`if=${file}`, "iflag=nocache", "count=0", "status=none"]);
    }
  }

  async remove() {
    await this.stop();
    rmSync(this.#folder, { recursive: true, force: true, maxRetries: 5 });
  }
}

/** A real Chromium on a fresh profile that lies on disk: profiles in memory keep IndexedDB in memory too, and lie. */

import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type BrowserContext, chromium, type Page } from "playwright-core";

const FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

export function chromiumPath(): string | undefined {
  for (const path of [process.env["OAS_CHROMIUM"], process.env["CHROMIUM_PATH"], "/usr/bin/chromium"]) {
    if (path && existsSync(path)) return path;
  }
  try {
    return (
      execFileSync("sh", ["-c", "command -v chromium chromium-browser google-chrome | head -1"]).toString().trim() ||
      undefined
    );
  } catch {
    return undefined; // no such program; the tests skip with a notice
  }
}

export class Browser {
  readonly #profile = mkdtempSync(join(tmpdir(), "oas-profile-"));
  #context: BrowserContext | undefined;

  async start(): Promise<BrowserContext> {
    const executablePath = chromiumPath();
    if (!executablePath) throw new Error("there is no Chromium");
    this.#context = await chromium.launchPersistentContext(this.#profile, {
      executablePath,
      headless: true,
      args: FLAGS,
    });
    return this.#context;
  }

  get context(): BrowserContext {
    if (!this.#context) throw new Error("the browser is not running");
    return this.#context;
  }

  /** A page of the site with the library loaded as `lib`. */
  async page(url: string): Promise<Page> {
    const page = await this.context.newPage();
    await page.goto(url);
    await page.waitForFunction("globalThis.ready === true");
    return page;
  }

  /** SIGKILL for the browser and all its children, which name this profile: no farewell to anyone. `start` comes next. */
  async kill(): Promise<void> {
    const pids = (): readonly number[] =>
      readdirSync("/proc")
        .filter((name) => /^\d+$/.test(name))
        .filter((pid) => {
          try {
            return readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(this.#profile);
          } catch {
            return false; // ended meanwhile
          }
        })
        .map(Number);
    for (const pid of pids()) {
      try {
        process.kill(pid, "SIGKILL");
      } catch {
        // Its parent took it along.
      }
    }
    while (pids().length > 0) await new Promise((resolve) => setTimeout(resolve, 20));
    this.#context = undefined;
    for (const name of ["SingletonLock", "SingletonSocket", "SingletonCookie"])
      rmSync(join(this.#profile, name), { force: true });
  }

  async stop(): Promise<void> {
    await this.#context?.close();
    rmSync(this.#profile, { recursive: true, force: true, maxRetries: 5 });
  }
}

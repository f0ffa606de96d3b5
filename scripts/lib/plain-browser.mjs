// Chromium, Firefox and WebKit as a person starts them: a profile on disk and an address. No driver: what a page finds out it posts
// to its server, and a browser ends by SIGKILL of everything it started.

import { execFileSync, spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { chromiumPath, flags, locks } from "./browser.mjs";

const start_ms_max = 20_000;

/** Nothing of Firefox's own: no first-run pages, no reports. */
const firefox_prefs = {
  "browser.shell.checkDefaultBrowser": false,
  "browser.startup.homepage_override.mstone": "ignore",
  "datareporting.policy.dataSubmissionEnabled": false,
  "toolkit.telemetry.reportingpolicy.firstRun": false,
  "app.update.enabled": false,
  "network.captive-portal-service.enabled": false,
  "network.connectivity-service.enabled": false,
};

/** WebKitGTK's own small browser; it lies where the library's package has put it. */
function miniBrowser() {
  const files = execFileSync("sh", ["-c", "dpkg -L libwebkit2gtk-4.1-0 2>/dev/null || true"]).toString().split("\n");
  return files.find((file) => file.endsWith("/MiniBrowser"));
}

const kinds = {
  chromium: {
    path: chromiumPath,
    arguments: (profile, url) => ["--headless=new", ...flags, `--user-data-dir=${profile}`, url],
    locks,
  },
  firefox: {
    path: () => ["/usr/bin/firefox-esr", "/usr/bin/firefox"].find(existsSync),
    arguments: (profile, url) => ["--headless", "--no-remote", "--profile", profile, url],
    prepare: (profile) =>
      writeFileSync(
        join(profile, "user.js"),
        Object.entries(firefox_prefs)
          .map(([name, value]) => `user_pref(${JSON.stringify(name)}, ${JSON.stringify(value)});\n`)
          .join(""),
      ),
    locks: ["lock", ".parentlock"],
  },
  webkit: {
    path: miniBrowser,
    arguments: (_, url) => [url],
    display: true,
    locks: [],
  },
};
export const names = Object.keys(kinds);

/** An X server that draws nowhere; WebKit's browser has no mode without windows. */
async function openDisplay() {
  const server = spawn("Xvfb", ["-displayfd", "3", "-screen", "0", "1280x800x24", "-nolisten", "tcp"], {
    stdio: ["ignore", "ignore", "ignore", "pipe"],
  });
  const number = await new Promise((resolve, reject) => {
    server.once("error", reject);
    server.once("exit", (code) => reject(new Error(`Xvfb ended with ${code}`)));
    createInterface({ input: server.stdio[3] }).once("line", resolve);
    setTimeout(() => reject(new Error("Xvfb does not start")), start_ms_max).unref();
  });
  return { server, name: `:${number}` };
}

export class PlainBrowser {
  #kind;
  #child;
  #display;
  #profile = mkdtempSync(join(tmpdir(), "oas-plain-"));

  constructor(name) {
    this.#kind = kinds[name];
  }

  /** Opens the address in a new process, on the profile that it had before. */
  async open(url) {
    const { path, arguments: given, prepare, display, locks } = this.#kind;
    const program = path();
    if (!program) throw new Error("this browser is not installed");
    for (const lock of locks) rmSync(join(this.#profile, lock), { force: true });
    prepare?.(this.#profile);
    if (display) this.#display ??= await openDisplay();
    const own = Object.fromEntries(
      ["HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"].map((name) => [name, join(this.#profile, name)]),
    );
    for (const folder of Object.values(own)) mkdirSync(folder, { recursive: true });
    const env = { ...process.env, ...own, ...(this.#display ? { DISPLAY: this.#display.name } : {}) };
    // A group of its own, so that the kill reaches every process of it.
    this.#child = spawn(program, given(this.#profile, url), { detached: true, stdio: "ignore", env });
  }

  async kill() {
    const child = this.#child;
    if (!child) return;
    this.#child = undefined;
    const ended = new Promise((resolve) => child.once("exit", resolve));
    if (child.exitCode !== null || child.signalCode !== null) return;
    process.kill(-child.pid, "SIGKILL");
    await ended;
  }

  async remove() {
    await this.kill();
    this.#display?.server.kill("SIGKILL");
    rmSync(this.#profile, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
  }
}

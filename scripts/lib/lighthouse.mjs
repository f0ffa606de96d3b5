// Lighthouse: it brings a hundred packages that nothing else here needs.

import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromiumPath } from "./browser.mjs";
import { installPeers } from "./peers.mjs";

const version = "12.8.2"; // the last that runs on Node 20
const categories = ["performance", "accessibility"];
const flags = "--headless=new --no-sandbox --disable-gpu --no-first-run --disable-background-networking";

export class Lighthouse {
  #folder = mkdtempSync(join(tmpdir(), "oas-lighthouse-"));
  #packages;

  async install() {
    this.#packages = await installPeers("lighthouse", { lighthouse: version }, "Lighthouse");
  }

  /** Scores of 0 to 100, for a phone or for a desktop; the audits that cost points are named. */
  measure(url, form) {
    const out = join(this.#folder, "report.json");
    execFileSync(
      process.execPath,
      [
        join(this.#packages, "node_modules/lighthouse/cli/index.js"),
        url,
        ...["--output=json", `--output-path=${out}`, "--quiet", `--chrome-flags=${flags}`],
        `--only-categories=${categories.join(",")}`,
        ...(form === "desktop" ? ["--preset=desktop"] : []),
      ],
      { env: { ...process.env, CHROME_PATH: chromiumPath() }, stdio: ["ignore", "ignore", "pipe"], timeout: 120_000 },
    );
    const report = JSON.parse(readFileSync(out, "utf8"));
    const scores = Object.fromEntries(
      categories.map((name) => [name, Math.round(report.categories[name].score * 100)]),
    );
    const costly = categories.flatMap((name) =>
      report.categories[name].auditRefs
        .filter(({ id, weight }) => weight > 0 && (report.audits[id].score ?? 1) < 0.9)
        .map(({ id }) => `${id}: ${report.audits[id].displayValue ?? report.audits[id].score}`),
    );
    return { ...scores, costly };
  }

  remove() {
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

// Makes a fresh checkout usable: any npm script may be the first command somebody runs.

import { existsSync, readFileSync } from "node:fs";
import { at, capture, die, run, say } from "./run.mjs";

const node_min = [20, 19];

function checkNode() {
  const [major, minor] = process.versions.node.split(".").map(Number);
  if (major < node_min[0] || (major === node_min[0] && minor < node_min[1])) {
    die(`Node ${process.versions.node} is too old: ${node_min.join(".")} or newer is needed`);
  }
}

// What npm recorded inside node_modules must cover the lockfile; packages for other systems are optional there.
function modulesAreCurrent() {
  const installed = at("node_modules/.package-lock.json");
  if (!existsSync(installed)) return false;
  const have = JSON.parse(readFileSync(installed, "utf8")).packages;
  const want = JSON.parse(readFileSync(at("package-lock.json"), "utf8")).packages;
  return Object.entries(want).every(
    ([path, entry]) => path === "" || entry.optional || entry.version === have[path]?.version,
  );
}

/** npm packages by the lockfile; silent when they are there. */
export async function ensureModules() {
  checkNode();
  if (modulesAreCurrent()) return;
  say("installing npm packages (npm ci)");
  await run("npm", ["ci", "--loglevel=error"], { stdio: ["ignore", "ignore", "inherit"] });
}

/** Compilers and, as asked, Emscripten, one or all browsers, databases, nginx and promtool; silent when they are there. */
export async function ensureToolchain(wanted = {}) {
  const { wasm = false, browser = false, browsers = false, databases = false, operations = false } = wanted;
  const args = [];
  if (!wasm) args.push("--native");
  if (browser) args.push("--browser");
  if (browsers) args.push("--browsers");
  if (databases) args.push("--databases");
  if (operations) args.push("--operations");
  await run(at("scripts/toolchain.sh"), args);
  if (operations) {
    const unpacked = `${process.env.OAS_TOOLCHAIN_DIR ?? at(".toolchain")}/operations/usr`;
    process.env.PATH += `:${unpacked}/sbin:${unpacked}/bin`;
  }
}

/** The Chromium that tests drive: OAS_CHROMIUM, or the first one on the PATH. */
export function chromium() {
  if (process.env.OAS_CHROMIUM) return process.env.OAS_CHROMIUM;
  for (const name of ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"]) {
    const { code, stdout } = capture("sh", ["-c", `command -v ${name}`], { check: false });
    if (code === 0) return stdout.trim();
  }
  return undefined;
}

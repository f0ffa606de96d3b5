import { spawn } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromiumPath, Profile } from "../lib/browser.mjs";
import { at, capture } from "../lib/run.mjs";
import { Server } from "../lib/server.mjs";

const HTML =
  '<!doctype html><meta charset="utf-8"><title>fixture</title><script type="module" src="/page.js"></script>';
const VITE = { vite: "8.3.8" };

/**
 * Each project: what it installs beside us, and the commands that leave a site in `dist`. `copy` = the package's own command
 * places modules and worker there, for bundlers that do not. `test` = the project is no page but a test, which does the same.
 */
const PROJECTS = {
  "vite build": { packages: VITE, commands: ["npx vite build --logLevel error"] },
  "webpack 5": {
    packages: { webpack: "5.112.2", "webpack-cli": "6.0.1" },
    commands: ["npx webpack --mode production --entry ./page.js --output-path dist --output-filename page.js"],
    html: true,
  },
  "esbuild, copy": {
    packages: { esbuild: "0.28.2" },
    commands: ["npx esbuild page.js --bundle --splitting --format=esm --outdir=dist", "npx offline-ai-sync copy dist"],
    html: true,
  },
  "rollup, copy": {
    packages: { rollup: "4.68.5", "@rollup/plugin-node-resolve": "16.0.3" },
    commands: [
      "npx rollup page.js --plugin node-resolve={browser:true} --format es --dir dist --silent",
      "npx offline-ai-sync copy dist",
    ],
    html: true,
  },
  "rollup, inline": {
    packages: { rollup: "4.68.5", "@rollup/plugin-node-resolve": "16.0.3" },
    page: "inline-page.js",
    commands: ["npx rollup page.js --plugin node-resolve={browser:true} --format es --dir dist --silent"],
    html: true,
  },
  "vite dev": { packages: VITE, commands: [], dev: "npx vite --port 0 --host 127.0.0.1" },
  "vitest browser": {
    packages: { vitest: "4.1.12", "@vitest/browser-playwright": "4.1.12", playwright: "1.65.1", ...VITE },
    folder: "vitest",
    commands: [],
    test: "npx vitest run --reporter=json --outputFile=result.json",
  },
  "next build": {
    packages: { next: "16.4.6", react: "19.3.1", "react-dom": "19.3.1" },
    folder: "next",
    commands: [],
    // The rewrite to the API is read when the site is built.
    dev: "npx next build > build.log 2>&1 && exec npx next start --hostname 127.0.0.1 --port 0",
    handler: "/handler",
  },
};
const FULL_ONLY = new Set(["rollup, copy", "next build"]);

const exec = (command, cwd) => capture("sh", ["-c", command], { cwd });

function prepare(folder, tarball, { packages, page = "page.js", html, folder: own }) {
  mkdirSync(join(folder, "dist"), { recursive: true });
  if (own) {
    cpSync(at("tests/package", own), folder, { recursive: true });
  } else {
    cpSync(at("tests/package", page), join(folder, "page.js"));
    writeFileSync(join(folder, html ? "dist/index.html" : "index.html"), HTML);
  }
  const dependencies = { ...packages, "offline-ai-sync": `file:${tarball}` };
  writeFileSync(join(folder, "package.json"), JSON.stringify({ type: "module", private: true, dependencies }));
  exec("npm install --no-audit --no-fund --loglevel=error", folder);
}

/** A development server in front of the API; resolves with its address and a way to end it. */
async function develop(command, folder, api) {
  const config = `export default { server: { proxy: { "/api": ${JSON.stringify(api)} } } };`;
  writeFileSync(join(folder, "vite.config.js"), config);
  const child = spawn("sh", ["-c", command], {
    cwd: folder,
    stdio: ["ignore", "pipe", "ignore"],
    detached: true, // what it starts ends with it
    env: { ...process.env, OAS_API: api, NEXT_TELEMETRY_DISABLED: "1" },
  });
  const url = await new Promise((resolve, reject) => {
    let text = "";
    child.once("exit", (code) => reject(new Error(`'${command}' ended with ${code}`)));
    child.stdout.on("data", (chunk) => {
      text += chunk;
      // biome-ignore lint/suspicious/noControlCharactersInRegex: colours
      const found = /http:\/\/(127\.0\.0\.1|localhost):\d+/.exec(text.replaceAll(/\x1b\[\d+m/g, ""));
      if (found) resolve(found[0]);
    });
  });
  return { url, end: () => process.kill(-child.pid, "SIGTERM") };
}

async function tryOut(context, url, cookie) {
  const page = await context.newPage();
  const errors = [];
  page.on("pageerror", (error) => errors.push(String(error)));
  if (cookie) await context.addCookies([{ ...cookie, url }]);
  await page.goto(url);
  await page.waitForFunction(() => globalThis.run !== undefined, undefined, { timeout: 20_000 });
  const done = await page.evaluate(() => globalThis.run("hello"));
  await page.close();
  return { ...done, errors };
}

/** Runs the project's own test in the browser that it starts itself. */
function runTest({ test }, folder, { url, key }) {
  const env = { OAS_API: url, VITE_OAS_KEY: key, OAS_CHROMIUM: chromiumPath(), CI: "1" };
  const { stderr } = capture("sh", ["-c", test], { cwd: folder, env, check: false });
  const report = join(folder, "result.json");
  if (!existsSync(report)) return { ok: false, error: stderr.slice(-500) };
  const { numPassedTests, numTotalTests, testResults } = JSON.parse(readFileSync(report, "utf8"));
  const ok = numPassedTests === 1 && numTotalTests === 1;
  return { ok, tests: `${numPassedTests} of ${numTotalTests}`, ...(ok ? {} : { error: failureIn(testResults) }) };
}

const failureIn = (files) =>
  files
    .flatMap(({ message, assertionResults }) => [message, ...assertionResults.flatMap((one) => one.failureMessages)])
    .join("; ")
    .slice(0, 500);

async function measure(project, tarball, context) {
  const folder = mkdtempSync(join(tmpdir(), "oas-fixture-"));
  let server;
  let dev;
  try {
    prepare(folder, tarball, project);
    for (const command of project.commands) exec(command, folder);
    const site = join(folder, project.dev || project.test ? "public" : "dist");
    // The weights are files of the application, wherever it keeps them.
    cpSync(at("dist/models"), join(site, "models"), { recursive: true });
    server = new Server(["--db", `sqlite:${join(folder, "db.sqlite")}`, "--static", site]);
    await server.start();
    if (project.test) return runTest(project, folder, server);
    if (project.dev) dev = await develop(project.dev, folder, server.url);
    const cookie = dev ? { name: "oas_key", value: server.key } : undefined;
    const done = await tryOut(context, dev?.url ?? server.url, cookie);
    const handled = project.handler ? await (await fetch(dev.url + project.handler)).json() : { durability: "memory" };
    const predicts = project.page === "inline-page.js" || done.label === "balance";
    const works =
      done.kind === "applied" && done.durability === "strict" && predicts && handled.durability === "memory";
    return { ...done, ok: works && done.errors.length === 0 };
  } catch (error) {
    return { ok: false, error: String(error.message ?? error).slice(0, 500) };
  } finally {
    dev?.end();
    await server?.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

export const claim = {
  name: "package.install",
  title: "The packed package in fresh projects: each page, or test, queues, syncs and predicts in a real Chromium",
  bar: "Vite (build, dev), webpack 5, esbuild with copy, Rollup with ./inline, Vitest in its browser mode, in full also Rollup with copy and Next (client component, route handler): every page or test does, without configuration for us",
  needs: ["build", "chromium"],
  quickSeconds: 240,
  async run({ quick, log }) {
    const names = Object.keys(PROJECTS).filter((name) => !quick || !FULL_ONLY.has(name));
    const packed = mkdtempSync(join(tmpdir(), "oas-packed-"));
    const profile = new Profile();
    const results = {};
    try {
      const { stdout } = capture("npm", ["pack", "--silent", "--pack-destination", packed], { cwd: at() });
      const tarball = join(packed, stdout.trim().split("\n").at(-1));
      const { version } = JSON.parse(readFileSync(at("package.json"), "utf8"));
      if (!tarball.includes(version)) throw new Error(`packed ${tarball}, wanted ${version}`);
      const context = await profile.start();
      for (const name of names) {
        results[name] = await measure(PROJECTS[name], tarball, context);
        log(`${name}: ${JSON.stringify(results[name])}`);
      }
    } finally {
      await profile.remove();
      rmSync(packed, { recursive: true, force: true });
    }
    return {
      ok: Object.values(results).every(({ ok }) => ok),
      scope: "npm projects from nothing; the server's strict policy over what was built, not over a development server",
      figures: results,
    };
  },
};

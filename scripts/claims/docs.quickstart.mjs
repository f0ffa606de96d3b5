import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { Profile } from "../lib/browser.mjs";
import { at, capture } from "../lib/run.mjs";

const MINUTES_MAX = 5;
const LINES_MAX = 30;

/** The page as steps: commands, and files (a line with the name in backquotes, then its content). */
function stepsOf(page) {
  const steps = [];
  const blocks = /(?:^`([^`\n]+)`\n)?^```(\w+)\n([\s\S]*?)^```$/gm;
  for (const [, file, language, text] of readFileSync(at(page), "utf8").matchAll(blocks)) {
    if (language === "sh")
      steps.push(
        ...text
          .trim()
          .split("\n")
          .map((command) => ({ command })),
      );
    else if (file) steps.push({ file, text });
  }
  return steps;
}

/** Resolves with the address a server prints, and the process. */
function serve(command, cwd) {
  const child = spawn("sh", ["-c", `exec ${command} --port 0`], { cwd, stdio: ["ignore", "pipe", "ignore"] });
  return new Promise((resolve, reject) => {
    child.once("exit", (code) => reject(new Error(`'${command}' ended with ${code}`)));
    createInterface({ input: child.stdout }).on("line", (line) => {
      const [, url] = /listening on (\S+)/.exec(line) ?? [];
      if (url) resolve({ url, child });
    });
  });
}

async function addNotes(context, url) {
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
  await context.setOffline(true);
  await add("second");
  await says("second: stored on this device");
  await context.setOffline(false);
  await says("second: applied at the server");
  return first;
}

export const claim = {
  name: "docs.quickstart",
  title: "The quick start, followed literally from an empty folder with the packed package",
  bar: `first event on the server within ${MINUTES_MAX} minutes, at most ${LINES_MAX} lines written by hand; a second one made offline follows`,
  needs: ["build", "chromium"],
  quickSeconds: 200,
  async run({ log }) {
    const folder = mkdtempSync(join(tmpdir(), "oas-quickstart-"));
    const profile = new Profile();
    let server;
    try {
      const { stdout } = capture("npm", ["pack", "--silent", "--pack-destination", folder], { cwd: at() });
      const tarball = join(folder, stdout.trim().split("\n").at(-1));
      const app = join(folder, "notes");
      mkdirSync(app);
      const steps = stepsOf("docs/quickstart.md");
      const start = performance.now();
      let lines = 0;
      for (const { command, file, text } of steps) {
        if (file) {
          lines += text.trimEnd().split("\n").length;
          mkdirSync(dirname(join(app, file)), { recursive: true });
          writeFileSync(join(app, file), text);
          continue;
        }
        log(`$ ${command}`);
        // The package is the one that was just built; a registry has an older one, or none.
        const literal = command.replace(/^npm install offline-ai-sync$/, `npm install ${tarball}`);
        if (/ serve /.test(command)) server = await serve(literal, app);
        else capture("sh", ["-c", literal], { cwd: app });
      }
      const first = await addNotes(await profile.start(), server.url);
      const seconds = Math.round((first - start) / 1_000);
      return {
        ok: seconds <= MINUTES_MAX * 60 && lines <= LINES_MAX && lines > 0,
        scope: "npm packages from the registry this machine uses, the package itself from a tarball; headless Chromium",
        figures: { seconds, linesWritten: lines, commands: steps.filter(({ command }) => command).length },
      };
    } finally {
      server?.child.kill("SIGTERM");
      await profile.remove();
      rmSync(folder, { recursive: true, force: true });
    }
  },
};

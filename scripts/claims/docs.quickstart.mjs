import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { Profile } from "../lib/browser.mjs";
import { at, capture } from "../lib/run.mjs";
import { addNotes, pack, serve } from "../lib/starter.mjs";

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

export const claim = {
  name: "docs.quickstart",
  title: "The quick start, followed literally from an empty folder with the packed package",
  bar: `first event on the server within ${MINUTES_MAX} minutes, at most ${LINES_MAX} lines written by hand; one made offline and one after a reload offline follow`,
  needs: ["build", "chromium"],
  quickSeconds: 200,
  async run({ log }) {
    const folder = mkdtempSync(join(tmpdir(), "oas-quickstart-"));
    const profile = new Profile();
    let server;
    try {
      const tarball = pack(folder);
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
        if (/ serve /.test(command)) server = await serve(`${literal} --port 0`, app);
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
      await server?.end();
      await profile.remove();
      rmSync(folder, { recursive: true, force: true });
    }
  },
};

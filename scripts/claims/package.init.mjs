import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Profile } from "../lib/browser.mjs";
import { capture } from "../lib/run.mjs";
import { addNotes, pack, serve } from "../lib/starter.mjs";

const NOTES = ["first", "second", "third"];

/** The notes as the starter's own handler has written them. */
async function notesIn(app) {
  const { openStore } = await import("../../dist/server.js");
  const store = await openStore(`sqlite:${join(app, "notes.sqlite")}`, { now: Date.now, restored: false });
  try {
    const rows = await store.read(({ connection }) => connection.query("SELECT text FROM note ORDER BY text"));
    return rows.map(({ text }) => text);
  } finally {
    await store.close();
  }
}

export const claim = {
  name: "package.init",
  title: "The project that `offline-ai-sync init` writes, from the packed package, as its README says",
  bar: "npm install, build and start work; notes made online, offline, and after a reload offline are each in the starter's own table once",
  needs: ["build", "chromium"],
  quickSeconds: 200,
  async run({ log }) {
    const folder = mkdtempSync(join(tmpdir(), "oas-init-"));
    const app = join(folder, "notes");
    const profile = new Profile();
    let server;
    try {
      const tarball = pack(folder);
      const start = performance.now();
      capture("npx", ["--yes", `--package=${tarball}`, "offline-ai-sync", "init", "notes"], { cwd: folder });
      // The package is the one that was just built; a registry has an older one, or none.
      const manifest = JSON.parse(readFileSync(join(app, "package.json"), "utf8"));
      manifest.dependencies["offline-ai-sync"] = `file:${tarball}`;
      writeFileSync(join(app, "package.json"), JSON.stringify(manifest));
      for (const command of ["npm install", "npm run build"]) {
        log(`$ ${command}`);
        capture("sh", ["-c", command], { cwd: app });
      }
      log("$ npm start");
      server = await serve("npm start --silent", app, { PORT: "0" });
      const first = await addNotes(await profile.start(), server.url);
      await server.end();
      const notes = await notesIn(app);
      return {
        ok: JSON.stringify(notes) === JSON.stringify(NOTES) && existsSync(join(app, ".gitignore")),
        scope: "npm packages from the registry this machine uses, the package itself from a tarball; headless Chromium",
        figures: { seconds: Math.round((first - start) / 1_000), notes },
      };
    } finally {
      await server?.end();
      await profile.remove();
      rmSync(folder, { recursive: true, force: true });
    }
  },
};

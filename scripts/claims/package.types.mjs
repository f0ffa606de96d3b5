import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { installPeers } from "../lib/peers.mjs";
import { at, capture } from "../lib/run.mjs";

const COMPILERS = {
  5.4: "5.4.5",
  5.5: "5.5.4",
  5.6: "5.6.3",
  5.7: "5.7.3",
  5.8: "5.8.3",
  5.9: "5.9.3",
  "6.0": "6.0.3",
  "7.0": "7.0.2",
};
const QUICK = ["5.4", "5.9", "7.0"];
const alias = (version) => `typescript-${version.replace(".", "-")}`;

/** Every entry of the package that has types. */
const entries = () =>
  Object.entries(JSON.parse(readFileSync(at("package.json"), "utf8")).exports)
    .filter(([, target]) => target.types)
    .map(([path]) => `offline-ai-sync${path.slice(1)}`);

/** What a consumer writes: every entry as a whole, and the main way in, with the types that come out of it. */
const consumer = () => `
${entries()
  .map(
    (name, n) =>
      `import * as entry${n} from "${name}";\nexport const keys${n}: readonly string[] = Object.keys(entry${n});`,
  )
  .join("\n")}
import { open, type Receipt, type SyncStatus } from "offline-ai-sync";
import { withDocuments } from "offline-ai-sync/documents";
import { createSyncServer } from "offline-ai-sync/server";
import { useSyncStatus } from "offline-ai-sync/react";

const engine = withDocuments(open({ name: "a", url: "/api" }));
export const receipt: Promise<Receipt> = engine.queueEvent({ eventType: "t", eventData: { n: 1 }, priority: "high" });
export const title: Promise<string | undefined> = engine.collection<{ title: string }>("notes").get("1").then((note) => note?.title);
export const status: () => SyncStatus = () => useSyncStatus(engine);
export const server = createSyncServer({ db: "sqlite::memory:" }).then((sync) => sync.on("t", async (event, tx) => {
  await tx.run("delete from note where id = $1", [event.principal]);
}));
// @ts-expect-error a priority that is none
engine.queueEvent({ eventType: "t", eventData: {}, priority: "urgent" });
`;

function consumerFolder() {
  const folder = mkdtempSync(join(at("build"), "package-types-")); // so that peers resolve to those of the checkout
  const packed = mkdtempSync(join(tmpdir(), "oas-packed-"));
  capture("npm", ["pack", "--silent", "--pack-destination", packed], { cwd: at() });
  const home = join(folder, "node_modules/offline-ai-sync");
  mkdirSync(home, { recursive: true });
  capture("sh", ["-c", `tar xzf ${packed}/*.tgz --strip-components=1 -C ${home}`]);
  rmSync(packed, { recursive: true, force: true });
  writeFileSync(join(folder, "package.json"), '{"type":"module","private":true}');
  writeFileSync(join(folder, "consumer.ts"), consumer());
  for (const [name, options] of [
    ["bundler", { module: "ESNext", moduleResolution: "bundler" }],
    ["nodenext", { module: "NodeNext", moduleResolution: "NodeNext" }],
  ]) {
    const compilerOptions = {
      ...options,
      target: "ES2022",
      lib: ["ES2023", "DOM", "DOM.Iterable", "ESNext.Disposable"],
      strict: true,
      exactOptionalPropertyTypes: true,
      noUncheckedIndexedAccess: true,
      skipLibCheck: true,
      noEmit: true,
      types: ["node"],
    };
    writeFileSync(join(folder, `tsconfig.${name}.json`), JSON.stringify({ compilerOptions, files: ["consumer.ts"] }));
  }
  return folder;
}

export const claim = {
  name: "package.types",
  title: "The packed package: publint and are-the-types-wrong, and strict consumers of every entry on many TypeScripts",
  bar: "nothing to report, and no error on TypeScript 5.4 to 5.9, 6 and 7 (quick: 5.4, 5.9, 7)",
  needs: ["build"],
  quickSeconds: 120,
  async run({ quick, log }) {
    const versions = quick ? QUICK : Object.keys(COMPILERS);
    const compilers = await installPeers(
      "typescript",
      Object.fromEntries(Object.entries(COMPILERS).map(([name, exact]) => [alias(name), `npm:typescript@${exact}`])),
      "TypeScript, old and new",
    );
    const bin = (name) => at("node_modules/.bin", name);
    const publint = capture(bin("publint"), ["--strict"], { check: false });
    // Files that are loaded by address have no types, and are not imported.
    const untyped = Object.entries(JSON.parse(readFileSync(at("package.json"), "utf8")).exports)
      .filter(([, target]) => !target.types)
      .map(([path]) => path);
    const attw = capture(bin("attw"), ["--pack", at(), "--profile", "esm-only", "--exclude-entrypoints", ...untyped], {
      check: false,
    });
    const folder = consumerFolder();
    const errors = {};
    try {
      for (const version of versions)
        for (const resolution of ["bundler", "nodenext"]) {
          const tsc = join(compilers, "node_modules", alias(version), "bin/tsc");
          const args = [tsc, "-p", join(folder, `tsconfig.${resolution}.json`), "--pretty", "false"];
          const { code, stdout } = capture(process.execPath, args, { check: false });
          errors[`${version} ${resolution}`] = code === 0 ? 0 : stdout.trim().split("\n").length;
          if (code !== 0) log(`TypeScript ${version}, ${resolution}:\n${stdout.split("\n").slice(0, 8).join("\n")}`);
        }
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
    for (const { code, stdout } of [publint, attw]) if (code !== 0) log(stdout);
    const clean = publint.code === 0 && attw.code === 0;
    return {
      ok: clean && Object.values(errors).every((count) => count === 0),
      scope: `${entries().length} entries; strict, exactOptionalPropertyTypes, noUncheckedIndexedAccess, skipLibCheck`,
      figures: { publint: publint.code === 0, attw: attw.code === 0, errors },
    };
  },
};

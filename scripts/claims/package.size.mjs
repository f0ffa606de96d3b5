import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { brotliCompressSync } from "node:zlib";
import { installPeers } from "../lib/peers.mjs";
import { at } from "../lib/run.mjs";
import { measureBudgets } from "../size.mjs";

const FIRST_MAX = 8_000;
const ALL_MAX = 95_000;

/** What people write to get a queue, a store or a sync client going; each from the same bundler, beside us. */
const PEERS = {
  "workbox-background-sync": {
    version: "7.4.1",
    code: 'import { Queue } from "workbox-background-sync"; globalThis.app = new Queue("q");',
  },
  dexie: {
    version: "4.4.7",
    code: 'import { Dexie } from "dexie"; globalThis.app = new Dexie("d");',
  },
  rxdb: {
    version: "17.6.0",
    code: 'import { createRxDatabase } from "rxdb"; import { getRxStorageDexie } from "rxdb/plugins/storage-dexie"; globalThis.app = createRxDatabase({ name: "r", storage: getRxStorageDexie() });',
    more: { rxjs: "7.8.2" },
  },
  "@powersync/web": {
    version: "2.4.0",
    code: 'import { PowerSyncDatabase } from "@powersync/web"; globalThis.app = PowerSyncDatabase;',
  },
  firebase: {
    version: "12.14.0",
    code: 'import { initializeApp } from "firebase/app"; import { initializeFirestore, persistentLocalCache } from "firebase/firestore"; globalThis.app = initializeFirestore(initializeApp({}), { localCache: persistentLocalCache() });',
  },
};

const packed = (bytes) => brotliCompressSync(bytes).length;
const sizeOf = (name) => packed(readFileSync(at("dist", name)));

/** A file of the package and everything it imports at once. */
function closure(name, seen = new Set()) {
  if (seen.has(name)) return seen;
  seen.add(name);
  for (const [, next] of readFileSync(at("dist", name), "utf8").matchAll(/(?:from|import)\s*"\.\/([^"]+\.m?js)"/g))
    closure(next, seen);
  return seen;
}
const sum = (names) => [...names].reduce((total, name) => total + sizeOf(name), 0);

/** Script and WebAssembly of a peer, as the bundler leaves them. */
async function peerSize(esbuild, folder, code) {
  const { outputFiles } = await esbuild.build({
    stdin: { contents: code, resolveDir: folder, loader: "js" },
    bundle: true,
    minify: true,
    write: false,
    format: "esm",
    target: "es2022",
    logLevel: "silent",
    outdir: "out",
    define: { "process.env.NODE_ENV": '"production"' },
  });
  return outputFiles.reduce((total, { contents }) => total + packed(contents), 0);
}

/** The smallest WebAssembly file that a package brings: it loads one of them at least. */
function wasmOf(folder) {
  const files = readdirSync(folder, { recursive: true }).filter((name) => String(name).endsWith(".wasm"));
  return Math.min(...files.map((name) => packed(readFileSync(join(folder, String(name))))), Number.POSITIVE_INFINITY);
}

const ENTRIES = [
  "index",
  "inline",
  "documents",
  "cache",
  "analytics",
  "models",
  "privacy",
  "crypto",
  "devtools",
  "react",
  "vue",
  "svelte",
  "sw",
  "sw.models",
];
/** Everything but runtimes and models. */
const WITHOUT_MODELS = ["index", "documents", "cache", "analytics", "privacy", "crypto"];

export const claim = {
  name: "package.size",
  title: "What a page downloads, by entry, beside peers from the same bundler",
  bar: `before the first event is journalled <= ${FIRST_MAX} bytes of script; core.wasm, its glue and all script without runtimes and models <= ${ALL_MAX} (goal 75,000); brotli`,
  needs: ["build"],
  quickSeconds: 120,
  async run({ log }) {
    const esbuild = await import("esbuild");
    const entries = Object.fromEntries(ENTRIES.map((name) => [name, sum(closure(`${name}.js`))]));
    entries["devtools, later"] = measureBudgets().find(({ name }) => name === "devtools, later")?.bytes;
    const script = new Set(["glue.mjs"]);
    for (const name of WITHOUT_MODELS) closure(`${name}.js`, script);
    // What these load later, by import().
    for (const name of [...script])
      for (const [, next] of readFileSync(at("dist", name), "utf8").matchAll(/import\("\.\/([^"]+\.m?js)"\)/g))
        closure(next, script);
    const ours = {
      firstScript: entries.index,
      allScript: sum(script),
      core: sizeOf("core.wasm"),
      documents: sizeOf("documents.wasm"),
      infer: sizeOf("infer.wasm"),
    };
    const withoutDocuments = ours.allScript + ours.core;
    const versions = Object.fromEntries(
      Object.entries(PEERS).flatMap(([name, { version, more = {} }]) => [[name, version], ...Object.entries(more)]),
    );
    const folder = await installPeers("sizes", versions, "peers to compare sizes with");
    const peers = {};
    for (const [name, { code }] of Object.entries(PEERS)) {
      try {
        peers[name] = await peerSize(esbuild, folder, code);
      } catch (error) {
        peers[name] = `not bundled: ${String(error.message ?? error).split("\n")[0]}`;
      }
    }
    const sqlite = wasmOf(join(folder, "node_modules/@journeyapps/wa-sqlite"));
    if (Number.isFinite(sqlite)) peers["wa-sqlite of @powersync/web, smallest build"] = sqlite;
    for (const [name, bytes] of Object.entries({ ...entries, ...peers })) log(`${String(bytes).padStart(9)}  ${name}`);
    return {
      ok: ours.firstScript <= FIRST_MAX && withoutDocuments <= ALL_MAX,
      scope:
        "script of an entry with all it imports at once; documents.wasm is loaded when first used and stands beside the sum",
      figures: {
        ...ours,
        scriptAndCore: withoutDocuments,
        withDocuments: withoutDocuments + ours.documents,
        entries,
        peers,
      },
    };
  },
};

// The parts of the proof about sealed records. Works on the sources as built for the tests: WebCrypto is Node's own.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { build } from "esbuild";
import { at } from "./run.mjs";

/** The crypto entry and its sealing module, bundled. */
export async function loadCrypto() {
  const folder = mkdtempSync(join(tmpdir(), "oas-crypto-"));
  const outfile = join(folder, "crypto.mjs");
  await build({
    stdin: {
      contents: 'export * from "./index.ts"; export * from "./seal.ts";',
      resolveDir: at("js-glue/crypto"),
      loader: "ts",
    },
    outfile,
    bundle: true,
    format: "esm",
    platform: "node",
    target: "es2022",
    logLevel: "warning",
  });
  try {
    return await import(pathToFileURL(outfile).href);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** `count` nonces by `draw`; how many agree with another in their first eight bytes, which every repeat would. */
export function repeatedNonces(draw, count) {
  const heads = new BigUint64Array(count);
  for (let i = 0; i < count; i++) {
    const nonce = draw();
    heads[i] = new DataView(nonce.buffer, nonce.byteOffset).getBigUint64(0);
  }
  heads.sort();
  let repeats = 0;
  for (let i = 1; i < count; i++) if (heads[i] === heads[i - 1]) repeats++;
  return repeats;
}

/** Records of a store in memory, as `rotate` wants them; `dieAt` makes the n-th step fail for ever. */
export function recordStore(records, dieAt = Number.POSITIVE_INFINITY) {
  let steps = 0;
  const step = () => {
    if (++steps >= dieAt) throw new Error("the tab died");
  };
  return {
    get steps() {
      return steps;
    },
    async page(after) {
      step();
      const from = after ? records.findIndex(({ place }) => place.record === after.place.record) + 1 : 0;
      return records.slice(from, from + 7);
    },
    async replace(record, sealed) {
      step();
      const at = records.findIndex(({ place }) => place.record === record.place.record);
      records[at] = { place: record.place, sealed };
      step(); // after the write, before anyone hears of it
      return true;
    },
  };
}

// Pages of races and proofs: one bundle of ours and others, served with the package under /lib/.

import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { at } from "./run.mjs";

const types = { js: "text/javascript", mjs: "text/javascript", wasm: "application/wasm" };

/** Bundles `source` into `outdir`; what it imports from /lib/ stays the built package. */
export async function bundlePage(source, outdir) {
  const { build } = await import("esbuild");
  await build({
    absWorkingDir: at(),
    entryPoints: [source],
    outdir,
    splitting: true,
    bundle: true,
    minify: true,
    format: "esm",
    target: "es2022",
    external: ["/lib/*"],
    define: { "process.env.NODE_ENV": '"production"' },
    logLevel: "warning",
  });
}

/** Answers `/lib/<file>` from dist/ and `/<folder>/<file>` from where the page was bundled to; false = neither. */
export function sendFile(response, pathname, folder, path, headers = {}) {
  const [, where, name] = /^\/(\w+)\/([\w.-]+)$/.exec(pathname) ?? [];
  const type = types[name?.split(".").pop()];
  const file = where === "lib" ? at("dist", name) : where === folder ? join(path, name) : undefined;
  if (!type || !file || !existsSync(file)) return false;
  response.writeHead(200, { "content-type": type, ...headers }).end(readFileSync(file));
  return true;
}

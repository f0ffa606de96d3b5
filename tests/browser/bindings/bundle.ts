/** Bundles a framework's test page as an application would: the framework, and this package by its published names. */

import { readFile } from "node:fs/promises";
import { build } from "esbuild";
import { compile } from "svelte/compiler";

export const FRAMEWORKS = ["react", "vue", "svelte"] as const;
export type Framework = (typeof FRAMEWORKS)[number];

/** `for` = the browser, or Node, where the framework stays an import so that there is one copy of it. */
export async function bundlePages(outdir: string, target: "browser" | "node"): Promise<void> {
  await build({
    entryPoints: FRAMEWORKS.map((name) => ({ in: `tests/browser/bindings/${name}.page.ts`, out: name })),
    outdir,
    bundle: true,
    splitting: true,
    format: "esm",
    platform: target,
    packages: target === "node" ? "external" : "bundle",
    conditions: target === "browser" ? ["browser", "production"] : [],
    outExtension: { ".js": ".mjs" },
    define: {
      "process.env.NODE_ENV": '"production"',
      __VUE_OPTIONS_API__: "false",
      __VUE_PROD_DEVTOOLS__: "false",
      __VUE_PROD_HYDRATION_MISMATCH_DETAILS__: "false",
    },
    logLevel: "warning",
    plugins: [
      {
        name: "svelte",
        setup({ onLoad }) {
          onLoad({ filter: /\.svelte$/ }, async ({ path }) => {
            const generate = target === "node" ? "server" : "client";
            const { js } = compile(await readFile(path, "utf8"), { filename: path, generate });
            return { contents: js.code, loader: "js" };
          });
        },
      },
    ],
  });
}

import { measureBudgets } from "../size.mjs";

const bars = { "core.wasm": 70_000, glue: 9_000, "page JavaScript": 8_000 };

export const claim = {
  name: "size.core",
  title: "What a page loads: the core, its lazy glue, and the JavaScript that must be there before the first event",
  bar: "brotli: core.wasm <= 70 kB (goal 45), page JavaScript <= 8 kB, lazy Emscripten glue <= 9 kB",
  needs: ["build"],
  test: true,
  async run({ log }) {
    const rows = measureBudgets().filter(({ name }) => name in bars);
    for (const { name, bytes, files } of rows)
      log(`${name}: ${bytes} bytes (${files.join(" + ")}), at most ${bars[name]}`);
    const missing = Object.keys(bars).filter((name) => !rows.some((row) => row.name === name));
    for (const name of missing) log(`${name}: not built`);
    return {
      ok: missing.length === 0 && rows.every(({ name, bytes }) => bytes <= bars[name]),
      scope:
        "minified files of dist/, each compressed alone with brotli 11; page JavaScript = index.js and what it imports statically",
      figures: Object.fromEntries(
        rows.map(({ name, bytes }) => [`${name.replaceAll(/[ .]/g, "_")}_brotli_bytes`, bytes]),
      ),
    };
  },
};

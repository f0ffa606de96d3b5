import { readdirSync, readFileSync } from "node:fs";
import { createServer } from "node:http";
import { Profile } from "../lib/browser.mjs";
import { ensureToolchain } from "../lib/ensure.mjs";
import { buildPreset, nativeProgram } from "../lib/native.mjs";
import { at, capture } from "../lib/run.mjs";

const vectors_min = 2_000;
const vectors_min_per_kind = 100;
const folder = at("tests/golden/vectors");

const page = `<!doctype html><meta charset="utf-8"><title>golden vectors</title>`;

/** One line a kind: `name vectors digest`, with a word more when an answer is not the stored one. */
const table = (text) =>
  new Map(
    text
      .trim()
      .split("\n")
      .map((line) => [line.split(" ")[0], line]),
  );

function node(program) {
  const source = `const { default: create } = await import(process.argv[1]);
    process.exitCode = (await create()).callMain(process.argv.slice(2));`;
  return capture("node", ["--input-type=module", "-e", source, program, "check", folder], { check: false });
}

function serve(bin) {
  const server = createServer(({ url }, response) => {
    const type = url.endsWith(".mjs") ? "text/javascript" : url.endsWith(".wasm") ? "application/wasm" : "text/html";
    response.setHeader("content-type", type);
    if (url === "/") return response.end(page);
    if (/^\/golden-web\.(mjs|wasm)$/.test(url)) return response.end(readFileSync(`${bin}${url}`));
    if (/^\/[\w-]+\.bin$/.test(url)) return response.end(readFileSync(`${folder}${url}`));
    response.writeHead(404).end();
  });
  return new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(server)));
}

async function chromium(bin) {
  const server = await serve(bin);
  const profile = new Profile();
  try {
    const tab = await (await profile.start()).newPage();
    await tab.goto(`http://127.0.0.1:${server.address().port}/`);
    return await tab.evaluate(async (names) => {
      const { default: create } = await import("/golden-web.mjs");
      const lines = [];
      const program = await create({ print: (line) => lines.push(line), printErr: (line) => lines.push(line) });
      program.FS.mkdir("/vectors");
      for (const name of names) {
        const bytes = await (await fetch(`/${name}`)).arrayBuffer();
        program.FS.writeFile(`/vectors/${name}`, new Uint8Array(bytes));
      }
      const code = program.callMain(["check", "/vectors"]);
      return { code, stdout: lines.join("\n") };
    }, readdirSync(folder));
  } finally {
    await profile.remove();
    server.close();
  }
}

export const claim = {
  name: "golden.agree",
  title: "The same bytes in give the same bytes out in every build of the core",
  bar: `at least ${vectors_min} golden vectors, at least ${vectors_min_per_kind} of each kind; every answer byte-equal in g++, clang, WASM-Node and WASM-Chromium`,
  quickSeconds: 300,
  test: true,
  async run({ log }) {
    await ensureToolchain({ wasm: true, browser: true });
    const clang = await nativeProgram("golden");
    const gcc = await nativeProgram("golden", "native-gcc");
    const wasm = await buildPreset("wasm", ["golden", "golden-web"]);
    const runs = {
      clang: capture(clang, ["check", folder], { check: false }),
      gcc: capture(gcc, ["check", folder], { check: false }),
      wasm_node: node(`${wasm}/golden.mjs`),
      wasm_chromium: await chromium(wasm),
    };
    const tables = Object.fromEntries(Object.entries(runs).map(([build, { stdout }]) => [build, table(stdout)]));
    const figures = { vectors: 0, kinds: 0 };
    let ok = true;
    for (const [kind, line] of tables.clang) {
      const count = Number(line.split(" ")[1]);
      const differs = Object.keys(runs).filter((build) => tables[build].get(kind) !== line || line.includes("WRONG"));
      log(`${line}${differs.length > 0 ? ` DIFFERS in ${differs.join(", ")}` : ""}`);
      figures.vectors += count;
      figures.kinds += 1;
      ok &&= differs.length === 0 && count >= vectors_min_per_kind;
    }
    for (const [build, { code }] of Object.entries(runs)) {
      figures[`${build}_agrees`] = code === 0 && tables[build].size === tables.clang.size;
      ok &&= figures[`${build}_agrees`];
    }
    return {
      ok: ok && figures.vectors >= vectors_min,
      scope:
        "every vector below tests/golden/vectors, run by the same program in four builds; --quick runs all of them",
      figures,
    };
  },
};

// The commands a person runs before there is a server: they work with nothing but the package installed.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";

const root = process.env["OAS_ROOT"] ?? process.cwd();
const CLI = join(root, "dist/cli.js");

interface Ended {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}
const run = (...args: readonly string[]): Promise<Ended> =>
  new Promise((resolve) => {
    execFile(process.execPath, [CLI, ...args], (error, out, err) => {
      resolve({ code: error ? Number(error.code) : 0, out, err });
    });
  });

describe("commands", () => {
  const folder = mkdtempSync(join(tmpdir(), "oas-cli-"));
  after(() => rmSync(folder, { recursive: true, force: true }));

  test("copy places what pages load, says so, and notices what is stale", async () => {
    const target = join(folder, "public");
    assert.equal((await run("copy", target, "--check")).code, 1);
    assert.match((await run("copy", target)).out, /copied .*core\.wasm/);
    assert.deepEqual(readFileSync(join(target, "core.wasm")), readFileSync(join(root, "dist/core.wasm")));
    assert.match((await run("copy", target)).out, /as it was .*sw\.classic\.js/);
    assert.equal((await run("copy", target, "--check")).code, 0);
    writeFileSync(join(target, "core.wasm"), "another version");
    const stale = await run("copy", target, "--check");
    assert.equal(stale.code, 1);
    assert.match(stale.out, /STALE .*core\.wasm/);
    assert.equal((await run("copy", target, "--models")).code, 0);
    assert.ok(readFileSync(join(target, "models/intent/model.oasm")).length > 1_000);
  });

  test("--version says which release this is", async () => {
    const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { version: string };
    assert.deepEqual(await run("--version"), { code: 0, out: `${version}\n`, err: "" });
  });

  test("init writes the page of the quick start and a server beside it, into an empty directory alone", async () => {
    const target = join(folder, "My Notes!");
    const made = await run("init", target);
    assert.equal(made.code, 0);
    assert.match(made.out, /npm install\n {2}npm run build\n {2}npm start/);
    const quickStart = readFileSync(join(root, "docs/quickstart.md"), "utf8");
    for (const name of ["app.js", "public/index.html"])
      assert.ok(quickStart.includes(`\n${readFileSync(join(target, name), "utf8")}\`\`\``), `${name} is another one`);
    const manifest = JSON.parse(readFileSync(join(target, "package.json"), "utf8")) as {
      name: string;
      dependencies: Record<string, string>;
    };
    assert.equal(manifest.name, "my-notes");
    assert.match(manifest.dependencies["offline-ai-sync"] ?? "", /^\^\d/);
    assert.match(manifest.dependencies["@photostructure/sqlite"] ?? "", /^\^\d/);
    assert.match(readFileSync(join(target, ".gitignore"), "utf8"), /node_modules/);

    writeFileSync(join(target, "app.js"), "mine");
    const again = await run("init", target);
    assert.equal(again.code, 1);
    assert.match(again.err, /is not empty \(\.gitignore.*nothing was written/);
    assert.equal(readFileSync(join(target, "app.js"), "utf8"), "mine");
  });

  test("no command, a wrong command, a wrong option", async () => {
    assert.match((await run()).out, /copy <dir>/);
    assert.deepEqual(
      [(await run("cpoy")).code, (await run("copy")).code, (await run("doctor", "no url")).code],
      [2, 2, 2],
    );
    const wrong = await run("copy", folder, "--wrong");
    assert.equal(wrong.code, 1);
    assert.match(wrong.err, /--wrong/);
  });

  describe("doctor", () => {
    let headers: Readonly<Record<string, string>> = {};
    let server: Server;
    let url = "";
    before(async () => {
      server = createServer((request, response) => {
        const path = request.url ?? "/";
        if (path === "/" || path === "/app/")
          response.writeHead(200, { "content-type": "text/html", ...headers }).end("<p>");
        else if (path === "/core.wasm")
          response.writeHead(200, { "content-type": headers["wasm"] ?? "application/wasm" }).end("\0asm\x01\0\0\0");
        else if (path === "/sw.classic.js")
          response
            .writeHead(200, { "content-type": "text/javascript", "cache-control": headers["age"] ?? "no-cache" })
            .end();
        else if (path === "/api/offline-ai/health" && !headers["away"])
          response.writeHead(200, { "content-type": "application/json" }).end('{"status":"ok"}');
        else response.writeHead(404).end("<p>not here");
      });
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
      url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
    });
    after(() => server.close());

    const failing = async (at = url): Promise<readonly string[]> => {
      const { code, out } = await run("doctor", at, "--json");
      const { ok, checks } = JSON.parse(out) as {
        ok: boolean;
        checks: { name: string; ok: boolean; advice: string }[];
      };
      const bad = checks.filter((one) => !one.ok);
      assert.deepEqual([code, ok], [bad.length > 0 ? 1 : 0, bad.length === 0]);
      for (const { advice } of bad) assert.notEqual(advice, "");
      return bad.map(({ name }) => name);
    };

    test("finds nothing on a page that is as it should be", async () => {
      const policy = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; connect-src 'self'; worker-src 'self'";
      for (headers of [{}, { "content-security-policy": policy }]) assert.deepEqual(await failing(), []);
    });

    test("names what has to change", async () => {
      headers = { "content-security-policy": "default-src 'none'; script-src 'self'" };
      assert.deepEqual(await failing(), ["policy: WebAssembly", "policy: requests"]);
      headers = { wasm: "text/plain", age: "max-age=31536000", away: "yes" };
      assert.deepEqual(await failing(), ["core.wasm: type", "worker: freshness", "server"]);
      headers = {};
      assert.deepEqual(await failing(`${url}app/`), ["core.wasm", "core.wasm: type"]);
      assert.deepEqual(await failing(`${url}nowhere`), ["page"]);
      server.closeAllConnections();
      assert.deepEqual(await failing("http://127.0.0.1:9/"), ["page"]);
    });
  });
});

// What `serve --static` answers: packed as the client accepts it, revalidated by version and encoding.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { brotliDecompressSync, gunzipSync } from "node:zlib";
import { createLogger } from "../../js-glue/server/log.ts";
import { type Standalone, startStandalone } from "../../js-glue/server/standalone.ts";

const PAGE = `<!doctype html><title>a page</title>${"<p>the same line again</p>".repeat(200)}`;

interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly body: Buffer;
}

describe("static files", () => {
  const folder = mkdtempSync(join(tmpdir(), "oas-static-"));
  let server: Standalone;
  before(async () => {
    writeFileSync(join(folder, "index.html"), PAGE);
    writeFileSync(join(folder, "short.js"), "export {};\n");
    writeFileSync(join(folder, "picture.png"), Buffer.alloc(4_096));
    server = await startStandalone({ db: "sqlite::memory:", port: 0, static: folder, log: createLogger("silent", 2) });
  });
  after(async () => {
    await server.stop();
    rmSync(folder, { recursive: true });
  });

  const get = (path: string, headers: Record<string, string> = {}, method = "GET"): Promise<Answer> =>
    new Promise((resolve, reject) => {
      request(`${server.url}${path}`, { method, headers }, (response) => {
        const chunks: Buffer[] = [];
        response.on("data", (chunk: Buffer) => chunks.push(chunk));
        response.on("end", () =>
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers as Answer["headers"],
            body: Buffer.concat(chunks),
          }),
        );
      })
        .on("error", reject)
        .end();
    });

  test("brotli before gzip, and neither where it is not accepted", async () => {
    const br = await get("/", { "accept-encoding": "gzip, deflate, br" });
    assert.equal(br.headers["content-encoding"], "br");
    assert.equal(br.headers["vary"], "accept-encoding");
    assert.equal(brotliDecompressSync(br.body).toString(), PAGE);
    assert.ok(br.body.length < PAGE.length / 10);
    const gzip = await get("/", { "accept-encoding": "gzip;q=0.5, br;q=0" });
    assert.equal(gzip.headers["content-encoding"], "gzip");
    assert.equal(gunzipSync(gzip.body).toString(), PAGE);
    const plain = await get("/");
    assert.equal(plain.headers["content-encoding"], undefined);
    assert.equal(plain.body.toString(), PAGE);
  });

  test("a short file and a picture go as they are", async () => {
    for (const path of ["/short.js", "/picture.png"]) {
      const { status, headers } = await get(path, { "accept-encoding": "br" });
      assert.equal(status, 200);
      assert.equal(headers["content-encoding"], undefined);
    }
  });

  test("HEAD tells the packed length; the version stands for one encoding", async () => {
    const accept = { "accept-encoding": "br" };
    const { headers, body } = await get("/", accept);
    const head = await get("/", accept, "HEAD");
    assert.equal(head.headers["content-length"], String(body.length));
    assert.equal(head.body.length, 0);
    const same = { "if-none-match": headers["etag"] ?? "" };
    assert.equal((await get("/", { ...accept, ...same })).status, 304);
    assert.equal((await get("/", same)).status, 200);
  });

  test("a file that was replaced is packed anew", async () => {
    const accept = { "accept-encoding": "br" };
    await get("/", accept);
    const next = PAGE.replace("a page", "the next page");
    writeFileSync(join(folder, "index.html"), next);
    assert.equal(brotliDecompressSync((await get("/", accept)).body).toString(), next);
  });
});

/**
 * A model's way from the packaged server into a real Chromium: signed, in blocks, resumed after a cut, refused when changed,
 * rolled back; and whole after the browser was killed in the middle. Arguments: number of kills. Prints one JSON line.
 */

import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Page } from "playwright-core";
import type { Models, UpdateReport } from "../../js-glue/models/index.ts";
import { CoreKernels } from "../../js-glue/runtimes/core-kernels.ts";
import { makeStatement, publishModel } from "../../js-glue/server/models/publish.ts";
import { ModelKey } from "../../js-glue/server/models/signing.ts";
import { nextVersion, shippedModel, statementOf } from "../server/model-files.ts";
import { Browser } from "./chromium.ts";
import type { PageGlobals } from "./page-types.ts";
import { Site } from "./site.ts";

interface ModelPage extends PageGlobals {
  models: Models;
  createModels(engine: object, options: object): Models;
}
declare const globals: ModelPage; // the page's own, inside `evaluate`

const kills = Number(process.argv[2] ?? 6);
const NAME = "intent";
const PROBES = ["what is my bank balance", "set a timer", "book me a flight to rome", "zxqv blorp wug"];
const problems: string[] = [];
const folder = mkdtempSync(join(tmpdir(), "oas-keys-"));
const key = ModelKey.create(join(folder, "key.pem"));
const stranger = ModelKey.create(join(folder, "stranger.pem"));
process.env["OFFLINE_AI_MODEL_KEY_FILE"] = join(folder, "key.pem");
const site = new Site("dist");
const browser = new Browser();

const kernels = await CoreKernels.open({ binary: new Uint8Array(readFileSync("dist/infer.wasm")) });
const expected = new Map<string, string>();

/** What the same kernels say in Node: tells which version answers. */
function learn(version: string, file: Uint8Array): void {
  const model = kernels.loadModel(file);
  expected.set(JSON.stringify(kernels.predict(model, PROBES, { top: 3 }).answers), version);
  model.close();
}

const base = shippedModel(NAME);
const { metrics } = await statementOf(NAME, base);
let patch = 0;

/** The next version: weights of the last layer changed, so that every answer differs, and some rows of the first. */
async function publishNext(
  change: { state?: "canary" | "active"; percent?: number } = { state: "active" },
): Promise<string> {
  const version = `1.${Math.floor(patch / 10)}.${patch++ % 10}`;
  const weights = Array.from({ length: 40 }, (_, i) => base.length - 9_000 + patch * 67 + i);
  const rows = Array.from({ length: 12 }, (_, i) => 40_000 + patch * 97 + i * 40_000);
  const file = patch === 1 ? base : nextVersion(base, version, [...weights, ...rows]);
  learn(version, file);
  const statement = await makeStatement(file, { metrics });
  await publishModel({ url: `${site.url}/api/offline-ai`, credential: site.key, statement, file, ...change });
  return version;
}

async function openPage(pinned: string = key.publicKey, daysOff = 0): Promise<Page> {
  const page = await browser.page(site.url);
  await page.evaluate(
    async ({ credential, pinned, daysOff }) => {
      const path = "/lib/models.js";
      const { createModels } = (await import(path)) as ModelPage;
      globals.engine = globals.lib.open({ name: "shop", url: "/api/offline-ai", auth: () => credential });
      await globals.engine.queueEvent({ eventType: "open", moduleId: "m", eventData: {} }); // the database is there
      const registry = { url: "/api/offline-ai", auth: () => credential, keys: [pinned] };
      globals.models = createModels(globals.engine, { registry, now: () => Date.now() + daysOff * 86_400_000 });
    },
    { credential: site.key, pinned, daysOff },
  );
  return page;
}

const update = (page: Page): Promise<(UpdateReport & { code?: undefined }) | { readonly code: string } | undefined> =>
  page.evaluate((name) => globals.models.models.update(name).catch(({ code }: { code: string }) => ({ code })), NAME);
const versionOf = async (page: Page): Promise<string> => {
  const answer = await page.evaluate(
    ({ name, probes }) =>
      globals.models.predictBatch(name, probes, { top: 3 }).then(
        ({ answers }) => JSON.stringify(answers),
        ({ code }: { code: string }) => `refused: ${code}`,
      ),
    { name: NAME, probes: PROBES },
  );
  return expected.get(answer) ?? answer.slice(0, 200);
};
function expectEqual(actual: unknown, wanted: unknown, what: string): void {
  if (JSON.stringify(actual) !== JSON.stringify(wanted))
    problems.push(`${what}: ${JSON.stringify(actual)}, not ${JSON.stringify(wanted)}`);
}
const fileBytesSeen = (): number =>
  site.seen.filter(({ path }) => /\/(artifact|blocks)$/.test(path)).reduce((sum, { bytes }) => sum + bytes, 0);

await site.start();
await browser.start();
await publishNext();
let page = await openPage();

// First download, then a delta: what the report says is what went over the wire.
const whole = await update(page);
expectEqual(whole, { updated: true, version: "1.0.0", loaded: base.length, total: base.length }, "first update");
expectEqual(await versionOf(page), "1.0.0", "after the first update");
await publishNext();
const before = fileBytesSeen();
const delta = await update(page);
const deltaBytes = (delta as UpdateReport | undefined)?.loaded ?? 0;
expectEqual(fileBytesSeen() - before, deltaBytes, "bytes of the delta on the wire");
if (deltaBytes === 0 || deltaBytes > base.length / 4) problems.push(`the delta took ${deltaBytes} bytes`);
expectEqual(await versionOf(page), "1.0.1", "after the delta");

// One bit changed on the way; a signature by somebody else.
await publishNext();
site.meddle = (path) =>
  path.endsWith("/artifact")
    ? (body) => {
        body[body.length >> 1] = (body[body.length >> 1] ?? 0) ^ 4;
        return body;
      }
    : undefined;
expectEqual(await update(page), { code: "checksum" }, "a swapped bit");
expectEqual(await versionOf(page), "1.0.1", "after a swapped bit");
site.meddle = undefined;
await page.close();
page = await openPage(stranger.publicKey);
expectEqual(await update(page), { code: "signature" }, "another pinned key");
expectEqual(await versionOf(page), "1.0.1", "after a refused signature");
await page.close();

// The list is frozen: a month later it is refused, and the model goes on answering.
page = await openPage(key.publicKey, 31);
expectEqual(await update(page), { code: "expired" }, "a list of last month");
expectEqual(await versionOf(page), "1.0.1", "after a list of last month");
await page.close();

// The connection breaks in the middle of an answer; what has come is kept.
page = await openPage();
let ranges = 0;
site.meddle = (path) => (path.endsWith("/artifact") && ++ranges === 5 ? 1_000 : undefined);
expectEqual(await update(page), { code: "offline" }, "a cut download");
expectEqual(await versionOf(page), "1.0.1", "after a cut download");
site.meddle = undefined;
const resumed = (await update(page)) as UpdateReport;
expectEqual([resumed.updated, resumed.version], [true, "1.0.2"], "resumed");
if (resumed.loaded >= deltaBytes) problems.push(`resuming took ${resumed.loaded} bytes, all of it ${deltaBytes}`);
expectEqual(await versionOf(page), "1.0.2", "after resuming");

// Back, and forth again by the registry.
expectEqual(await page.evaluate((name) => globals.models.models.rollback(name), NAME), "1.0.1", "rollback");
expectEqual(await versionOf(page), "1.0.1", "after the rollback");
await update(page);
expectEqual(await versionOf(page), "1.0.2", "after the update that follows");

// A canary for nobody, then for everybody.
const canary = await publishNext({ state: "canary", percent: 0 });
expectEqual(((await update(page)) as UpdateReport).updated, false, "a canary of 0 %");
const id = `${NAME}-${canary}-native-int8`;
await fetch(`${site.url}/api/offline-ai/models/${id}`, {
  method: "PUT",
  headers: { authorization: `Bearer ${site.key}`, "content-type": "application/json" },
  body: JSON.stringify({ rollout: { percent: 100 } }),
});
expectEqual(((await update(page)) as UpdateReport).version, canary, "a canary of 100 %");

// Killed in the middle: after so many requests, or as long after the last one as a swap may take.
let [endedOld, endedNew] = [0, 0];
for (let round = 0; round < kills; round++) {
  const old = await versionOf(page);
  const next = await publishNext();
  let requests = 0;
  const wanted = 1 + ((round * 7) % 24);
  const reached = new Promise<void>((resolve) => {
    site.meddle = () => {
      if (++requests === wanted) setTimeout(resolve, (round * 7) % 30);
      return undefined;
    };
  });
  const updating = update(page).catch(() => undefined); // the page is gone
  await Promise.race([reached, updating]);
  await browser.kill();
  site.meddle = undefined;
  site.weather = "down";
  await browser.start();
  page = await openPage();
  const answering = await versionOf(page);
  if (answering === old) endedOld++;
  else if (answering === next) endedNew++;
  else problems.push(`kill ${round}: ${answering} answers, neither ${old} nor ${next}`);
  site.weather = "clear";
  await update(page);
  expectEqual(await versionOf(page), next, `kill ${round}, the next update`);
}

await browser.stop();
await site.stop();
rmSync(folder, { recursive: true, force: true });
for (const problem of problems.slice(0, 20)) process.stderr.write(`${problem}\n`);
process.stdout.write(
  `${JSON.stringify({
    kills,
    endedOld,
    endedNew,
    fileBytes: base.length,
    deltaBytes,
    resumedBytes: resumed.loaded,
    problems: problems.length,
  })}\n`,
);
process.exit(0);

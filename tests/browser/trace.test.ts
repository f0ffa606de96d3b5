// What the devtools export of a page that lived through bad weather and a kill, the simulator replays against the shipped core.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import type { Page } from "playwright-core";
import type { OfflineSync } from "../../js-glue/browser/client.ts";
import { Browser, chromiumPath } from "./chromium.ts";
import { Demo } from "./demo.ts";

interface Globals {
  readonly engine: OfflineSync;
  changeWeather(change: { readonly repliesLost?: number; readonly trouble?: string }): void;
}
declare const globals: Globals; // the page's own `globalThis`, inside `evaluate`

interface Entry {
  readonly kind: string;
  readonly lane?: string;
  readonly outcome?: string;
  readonly status?: number;
  readonly verdict?: string;
}

describe("a trace of a page", { skip: chromiumPath() ? false : "there is no Chromium" }, () => {
  const folder = mkdtempSync(join(tmpdir(), "oas-trace-"));
  const file = join(folder, "trace.json");
  const demo = new Demo();
  const browser = new Browser();
  let page: Page;
  before(async () => {
    await demo.start();
    await browser.start();
    page = await browser.context.newPage();
    await page.addInitScript("globalThis.globals = globalThis");
    await page.goto(`${demo.url}/device.html?device=traced&documents=no`);
    await ready();
  });
  after(async () => {
    await browser.stop();
    await demo.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  const ready = async (): Promise<void> => {
    await page.waitForSelector("#tools [role=tab]");
    await page.waitForFunction(() => globals.engine.status.get().phase === "idle");
  };
  const click = (...ids: readonly string[]) => ids.reduce((last, id) => last.then(() => page.click(`#${id}`)), done);
  const done = Promise.resolve();
  const pending = (count: number) =>
    page.waitForFunction((count) => globals.engine.status.get().pending === count, count, { timeout: 60_000 });
  const sent = async (): Promise<void> => {
    await page.evaluate(() => globals.engine.drain(20_000));
    await pending(0);
  };
  /** Something is sent under this trouble, and again without it. */
  const through = async (trouble: Parameters<Globals["changeWeather"]>[0], fine: typeof trouble): Promise<void> => {
    await page.evaluate((change) => globals.changeWeather(change), trouble);
    await click("add");
    await page.waitForFunction(() => globals.engine.status.get().reason !== undefined);
    await page.evaluate((change) => globals.changeWeather(change), fine);
    await sent();
  };
  const simulate = (...args: readonly string[]) =>
    spawnSync(process.execPath, ["scripts/sim.mjs", "--replay", ...args], { encoding: "utf8", maxBuffer: 1 << 27 });

  test("a page with trouble, refusals and a kill is told in one file", async () => {
    await click("add", "order", "views", "bad");
    await pending(0);
    // More than once: a replay tells outcomes by their order, and its own request in that place may have had nothing to lose.
    for (let i = 0; i < 3; i++) await through({ repliesLost: 1 }, { repliesLost: 0 });
    await through({ trouble: "error" }, { trouble: "none" });
    await through({ trouble: "captive" }, { trouble: "none" });
    await page.uncheck("#online");
    await click("order", "views");
    await pending(101);
    await click("kill");
    await ready();
    await sent();
    await page.click("#tab-timeline");
    const saved = page.waitForEvent("download");
    await page.locator("#panel").getByRole("button", { name: "Export trace" }).click();
    await (await saved).saveAs(file);
    const text = readFileSync(file, "utf8");
    const { entries } = JSON.parse(text) as { readonly entries: readonly Entry[] };
    const kinds = new Set(entries.map(({ kind, outcome, status = "" }) => `${kind} ${outcome ?? ""}${status}`.trim()));
    for (const kind of ["opened", "killed", "call", "network", "request answered", "request reply_lost"])
      assert.ok(kinds.has(kind), `${kind} is not among ${[...kinds].join(", ")}`);
    for (const kind of ["request status500", "request foreign"]) assert.ok(kinds.has(kind), kind);
    assert.equal(entries.filter(({ verdict }) => verdict === "rejected").length, 1);
    for (const word of ["cart", "order.place", "page", "traced"])
      assert.ok(!text.includes(word), `${word} is in the file`);
  });

  test("it replays without a violation, and as many events are applied as at the server", async () => {
    const { deviceId } = await page.evaluate(() => globals.engine.registerDevice());
    const applied = (await demo.history(deviceId)).filter(({ verdict }) => verdict === "applied").length;
    const { status, stdout } = simulate(file);
    assert.match(stdout, /\nno violation\n$/);
    assert.equal(status, 0);
    const [, here, calls] = /applied=(\d+) of (\d+) calls/.exec(stdout) ?? [];
    assert.equal(Number(here), applied);
    assert.equal(Number(calls), applied + 1);
    assert.match(stdout, /request served, its reply lost/);
  });

  test("a server that applies again what it has is noticed by the same trace: a reply was lost", () => {
    const { status, stdout } = simulate(file, "--mutant", "NoServerDedupe");
    assert.equal(status, 1);
    assert.match(stdout, /\nI2: event \d+ applied twice\n$/);
  });

  test("a damaged file is refused by name", () => {
    const text = readFileSync(file, "utf8");
    const refusal = (damaged: string): string => {
      writeFileSync(file, damaged);
      const { status, stdout } = simulate(file);
      assert.equal(status, 2);
      return stdout.trim();
    };
    assert.match(refusal(text.slice(0, text.length / 2)), /^refused: invalid_json \(byte \d+\)$/);
    assert.match(
      refusal(text.replace('"lane":"critical"', '"lane":"urgent"')),
      /^refused: malformed \(entries\[\d+\]\.lane\)$/,
    );
    assert.equal(refusal(text.replace('"version":1', '"version":2')), "refused: version_not_supported (version)");
    assert.equal(refusal(" ".repeat(1_000_001)), "refused: limit_exceeded (the file's size)");
  });
});

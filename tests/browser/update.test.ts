// A new build is deployed while a page is open: it says so, and loads it once when asked to; nothing that was queued is lost.
import assert from "node:assert/strict";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import type { Page } from "playwright-core";
import type { OfflineSync } from "../../js-glue/browser/client.ts";
import { Browser, chromiumPath } from "./chromium.ts";
import { Demo, troublesOf } from "./demo.ts";

declare const globals: { engine: OfflineSync }; // the frame's own `globalThis`, inside `evaluate`

const HEADING = "Two devices, one server";
const IN_FRAMES = "Look inside";

/** Changes a page and the release of its worker, as the next build would. */
function deploy(site: string, page: string, heading: string, worker: string): void {
  const html = readFileSync(join(site, page), "utf8");
  assert.ok(html.includes(heading));
  writeFileSync(join(site, page), html.replace(heading, `The next: ${heading}`));
  const script = readFileSync(join(site, worker), "utf8");
  const next = script.replace(/release:\s*"[0-9a-f]{16}"/, 'release:"0123456789abcdef"');
  assert.notEqual(next, script, "the worker names its release");
  writeFileSync(join(site, worker), next);
}

describe("a new version of the demo", { skip: chromiumPath() ? false : "there is no Chromium" }, () => {
  const site = mkdtempSync(join(tmpdir(), "oas-next-"));
  cpSync("dist/demo", site, { recursive: true });
  const demo = new Demo(site);
  const browser = new Browser();
  let page: Page;
  let errors: readonly string[] = [];
  let loads = 0;
  before(async () => {
    await demo.start();
    await browser.start();
    page = await browser.context.newPage();
    errors = troublesOf(page);
    await page.addInitScript("globalThis.globals = globalThis");
    await page.goto(demo.url);
    await page.evaluate(() => navigator.serviceWorker.ready.then(() => undefined));
    await page.reload();
    page.on("framenavigated", (frame) => {
      if (frame === page.mainFrame()) loads++;
    });
  });
  after(async () => {
    await browser.stop();
    await demo.stop();
    rmSync(site, { recursive: true, force: true });
  });

  const phone = async () => {
    const frame = await (await page.waitForSelector("#phone")).contentFrame();
    assert.ok(frame);
    await frame.waitForFunction(() => globals.engine?.status.get().phase === "idle");
    return frame;
  };
  /** Resolves when the workers of what has been deployed are installed, and wait. */
  const installUpdates = () =>
    page.evaluate(async () => {
      const all = await navigator.serviceWorker.getRegistrations();
      await Promise.all(all.map((one) => one.update()));
      const settled = ({ installing }: ServiceWorkerRegistration) =>
        new Promise<void>((resolve) => {
          if (!installing) resolve();
          installing?.addEventListener("statechange", () => resolve());
        });
      await Promise.all(all.map(settled));
    });
  const bar = () => page.locator("#update");

  test("the page says nothing while there is nothing new", async () => {
    await phone();
    await page.evaluate(async () => (await navigator.serviceWorker.ready).update());
    assert.equal(await bar().count(), 0);
  });

  test("a deployed build is announced, and not loaded before somebody says so", async () => {
    await phone();
    deploy(site, "index.html", HEADING, "sw.js");
    await installUpdates();
    await bar().getByText("A new version is ready.").waitFor();
    assert.equal(await bar().getAttribute("role"), "status");
    await bar().getByRole("button", { name: "Later" }).click();
    assert.equal(await bar().count(), 0);
    deploy(site, "device.html", IN_FRAMES, "device-sw.js"); // the frames' workers, installed a little later
    await installUpdates();
    assert.equal(await bar().count(), 0);
    assert.equal(loads, 0);
    assert.equal(await page.textContent("h1"), HEADING);
  });

  test("Reload loads it once, in the frames too, and what waited is sent once", async () => {
    await page.evaluate(() => document.dispatchEvent(new Event("visibilitychange")));
    await bar().waitFor();
    await (await phone()).click("#order");
    // Requests in the moment of the change, which leave a navigation without an answer in Chromium.
    await page.evaluate(() => {
      const storm = setInterval(() => void fetch("/core.wasm", { method: "HEAD" }), 1);
      setTimeout(() => clearInterval(storm), 2_000);
    });
    await bar().getByRole("button", { name: "Reload" }).click();
    await page.getByRole("heading", { name: `The next: ${HEADING}` }).waitFor({ timeout: 60_000 });
    const frame = await phone();
    // Its worker takes over as soon as it has nothing to send.
    await frame.getByRole("heading", { name: `The next: ${IN_FRAMES}` }).waitFor({ timeout: 60_000 });
    await frame.waitForFunction(() => globals.engine.status.get().pending === 0);
    const { deviceId } = await frame.evaluate(() => globals.engine.registerDevice());
    const orders = (await demo.history(deviceId)).filter(({ eventType }) => eventType === "order.place");
    assert.equal(orders.length, 1);
    assert.equal(loads, 1);
    assert.equal(await bar().count(), 0);
    assert.deepEqual(errors, []);
  });
});

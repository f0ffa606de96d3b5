/** People who use the example apps without a network, and whose tabs die: what they see, and what the server has in the end. */

import type { Page } from "playwright-core";
import type { OfflineSync } from "../../js-glue/browser/client.ts";
import type { Browser } from "./chromium.ts";
import type { AppliedEvent, Demo } from "./demo.ts";

declare const globals: { engine: OfflineSync }; // the page's own `globalThis`, inside `evaluate`

/** Opens an app and waits until its engine runs. */
async function openApp(browser: Browser, demo: Demo, name: string): Promise<Page> {
  const page = await browser.context.newPage();
  await page.addInitScript("globalThis.globals = globalThis");
  await page.goto(`${demo.url}/examples/${name}/`);
  await page.waitForFunction(() => globals.engine !== undefined && globals.engine.status.get().phase !== "starting");
  return page;
}

/** The first visit: online, until the Service Worker has kept the release. Resolves with the device's id. */
async function firstVisit(browser: Browser, demo: Demo, name: string): Promise<string> {
  const page = await openApp(browser, demo, name);
  const device = await page.evaluate(async () => {
    const { deviceId } = await globals.engine.registerDevice();
    await navigator.serviceWorker.ready;
    return deviceId;
  });
  await page.close();
  return device;
}

/** The renderer dies at once, with no farewell to anyone. */
async function killRenderer(page: Page): Promise<void> {
  const crashed = new Promise((resolve) => page.once("crash", resolve));
  const session = await page.context().newCDPSession(page);
  session.send("Page.crash").catch(() => undefined); // never answered: who would
  await crashed;
  await page.close();
}

const offline = (browser: Browser, off: boolean): Promise<void> => browser.context.setOffline(off);
const pendingOf = (page: Page): Promise<number> => page.evaluate(() => globals.engine.status.get().pending);
/** Until so many events are stored on the device. */
const stored = async (page: Page, count: number): Promise<void> => {
  await page.waitForFunction((count) => globals.engine.status.get().pending >= count, count);
};
const drained = async (page: Page): Promise<void> => {
  await page.waitForFunction(() => globals.engine.status.get().pending === 0, undefined, { timeout: 60_000 });
};

export const QUESTIONS = 6;
const RIGHT = ["Canberra", "Kenya", "Ottawa", "Ankara", "Brasília", "Auckland"];

export interface QuizGame {
  /** What the page said after its renderer had died: question, and how many were answered. */
  readonly afterKill: { readonly question: string; readonly pending: number };
  readonly done: string;
  readonly events: readonly AppliedEvent[];
}

/** A whole game without a network; the tab dies after `killAfter` answers. */
export async function playQuiz(browser: Browser, demo: Demo, killAfter: number): Promise<QuizGame> {
  const device = await firstVisit(browser, demo, "quiz");
  const before = (await demo.history(device)).length;
  await offline(browser, true);
  let page = await openApp(browser, demo, "quiz");
  await page.click("#again");
  const answer = async (from: number, to: number): Promise<void> => {
    for (let i = from; i < to; i++) {
      await page.click(`#choices button:has-text("${RIGHT[i] ?? ""}")`);
      await page.waitForFunction((count) => document.querySelector("progress")?.value === count, i + 1);
    }
  };
  await answer(0, killAfter);
  await stored(page, killAfter);
  await page.waitForTimeout(200); // the progress is kept beside the queue, right after
  await killRenderer(page);
  page = await openApp(browser, demo, "quiz");
  await page.waitForFunction(() => document.getElementById("question")?.textContent !== "Loading");
  const afterKill = { question: (await page.textContent("#score")) ?? "", pending: await pendingOf(page) };
  await answer(killAfter, QUESTIONS);
  await page.waitForFunction(() => document.getElementById("question")?.textContent === "Done!");
  await stored(page, QUESTIONS + 1);
  await offline(browser, false);
  await drained(page);
  const done = (await page.textContent("#score")) ?? "";
  await page.close();
  return { afterKill, done, events: (await demo.history(device)).slice(before) };
}

export interface ShopVisit {
  readonly total: string;
  readonly afterKill: string;
  readonly recommended: readonly string[];
  readonly orders: readonly AppliedEvent[];
  /** As the server has it. */
  readonly cart: unknown;
}

/** Fills a cart and orders without a network; the tab dies with the cart full. */
export async function goShopping(browser: Browser, demo: Demo): Promise<ShopVisit> {
  const device = await firstVisit(browser, demo, "shop");
  const before = (await demo.history(device)).length;
  await offline(browser, true);
  let page = await openApp(browser, demo, "shop");
  for (const sku of ["green-tea", "green-tea", "rye-bread"]) {
    await page.click(`#goods [data-sku="${sku}"]`);
    await page.waitForTimeout(50);
  }
  await page.waitForFunction(() => document.querySelectorAll("#cart tr").length === 2);
  await page.waitForSelector("#liked:not([hidden]) #recommended button");
  const recommended = await page
    .locator("#recommended button")
    .evaluateAll((all) => all.map((one) => (one as HTMLElement).dataset["sku"] ?? ""));
  const total = (await page.textContent("#total")) ?? "";
  await killRenderer(page);
  page = await openApp(browser, demo, "shop");
  await page.waitForFunction(() => document.querySelectorAll("#cart tr").length === 2);
  const afterKill = (await page.textContent("#total")) ?? "";
  await page.click("#order");
  await page.waitForFunction(() => document.querySelectorAll("#cart tr").length === 0);
  await offline(browser, false);
  await drained(page);
  await page.waitForFunction(() => document.getElementById("word")?.textContent === "The shop has your order.");
  const space = (await demo.get("/spaces/~/documents?collection=carts")) as {
    readonly items: readonly { readonly id: string; readonly value: unknown }[];
  };
  await page.close();
  return {
    ...{ total, afterKill, recommended },
    orders: (await demo.history(device)).slice(before),
    cart: space.items.find(({ id }) => id === "basket")?.value,
  };
}

// One pixel that is none too small for a JPEG.
const PHOTO = Buffer.from(
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==",
  "base64",
);

export interface NotesMeeting {
  /** What each of the two was asked. */
  readonly asked: readonly string[];
  /** The note's text on each of them in the end. */
  readonly texts: readonly string[];
  readonly doubtsLeft: number;
  readonly photos: readonly AppliedEvent[];
  readonly afterKill: string;
}

/** Two devices change the text of one note without a network; the tab of one dies; one person decides for both. */
export async function writeNotes(browsers: readonly [Browser, Browser], demo: Demo): Promise<NotesMeeting> {
  const [one, two] = browsers;
  const device = await firstVisit(one, demo, "notes");
  await firstVisit(two, demo, "notes");
  await offline(one, true);
  let first = await openApp(one, demo, "notes");
  const title = `Heron ${Math.random().toString(36).slice(2)}`;
  await first.fill('input[name="title"]', title);
  await first.fill('textarea[name="body"]', "seen at the weir");
  await first.setInputFiles('input[name="photo"]', { name: "heron.png", mimeType: "image/png", buffer: PHOTO });
  await first.click("#new button");
  await first.waitForSelector(`.note:has-text("${title}") canvas`);
  await offline(one, false);
  await drained(first);

  const second = await openApp(two, demo, "notes");
  await second.waitForSelector(`.note:has-text("${title}")`);
  await Promise.all([offline(one, true), offline(two, true)]);
  const rewrite = async (page: Page, words: string): Promise<void> => {
    const note = page.locator(`.note:has-text("${title}")`);
    await note.getByRole("button", { name: "Edit" }).click();
    await note.locator("textarea").fill(words);
    await note.getByRole("button", { name: "Done" }).click();
    await page.waitForSelector(`.note p:has-text("${words}")`);
    await stored(page, 1);
  };
  await rewrite(first, "two of them at the weir");
  await rewrite(second, "one, and a kingfisher");
  await killRenderer(first);
  first = await openApp(one, demo, "notes");
  const textOf = async (page: Page): Promise<string> =>
    (await page.locator(`.note:has-text("${title}") p`).first().textContent()) ?? "";
  await first.waitForSelector(`.note:has-text("${title}")`);
  const afterKill = await textOf(first);
  await Promise.all([offline(one, false), offline(two, false)]);
  const pages = [first, second];
  for (const page of pages) await page.waitForSelector("#doubts:not([hidden]) .conflict");
  const asked = await Promise.all(pages.map(async (page) => (await page.textContent("#conflicts p")) ?? ""));
  await first.getByRole("button", { name: "Take: one, and a kingfisher" }).click();
  for (const page of pages) {
    await page.waitForFunction(() => document.getElementById("doubts")?.hidden === true);
    await page.waitForSelector('.note p:has-text("one, and a kingfisher")');
    await drained(page);
  }
  const texts = await Promise.all(pages.map(textOf));
  const doubtsLeft = await second.locator(".conflict").count();
  await Promise.all(pages.map((page) => page.close()));
  return { asked, texts, doubtsLeft, afterKill, photos: await demo.history(device) };
}

// A walk through the demo as a visitor takes it: every panel of the devtools, what it shows, and what its buttons do.

import { mkdirSync } from "node:fs";
import { at } from "./run.mjs";

export const pages = ["/", "/naive.html", "/models.html", "/examples/quiz/", "/examples/shop/", "/examples/notes/"];
const shots = at("build/screenshots");

export async function keepShot(page, name, options = { fullPage: true }) {
  mkdirSync(shots, { recursive: true });
  await page.screenshot({ path: `${shots}/${name}.png`, ...options });
}

const frameOf = async (page, device) => {
  await page.locator(`#${device}`).scrollIntoViewIfNeeded();
  const frame = await (await page.waitForSelector(`#${device}`)).contentFrame();
  await frame.waitForFunction(() => globalThis.engine?.status.get().phase === "idle");
  await frame.waitForSelector("#tools [role=tab]");
  return frame;
};

const idle = (frame) => frame.waitForFunction(() => globalThis.engine.status.get().pending === 0);
const open = async (frame, tab) => {
  await frame.click(`#tab-${tab}`);
  await frame.waitForSelector(`#panel[aria-labelledby="tab-${tab}"]`);
};
const panel = (frame) => frame.locator("#panel");
const says = (frame, words) => panel(frame).getByText(words).first().waitFor({ timeout: 20_000 });

async function queue(frame, shot) {
  await open(frame, "queue");
  await frame.uncheck("#online");
  for (const id of ["add", "order", "bad", "views"]) await frame.click(`#${id}`);
  await says(frame, "order.place");
  const lane = await panel(frame).locator("tbody tr").first().locator("td").first().textContent();
  if (lane !== "critical") throw new Error(`the urgent event is not the first: ${lane}`);
  await shot("queue");
  await frame.check("#online");
  await idle(frame);
  await says(frame, "Nothing waits");
}

async function deadLetters(frame, shot) {
  await open(frame, "dead-letters");
  await says(frame, "demo.refuse");
  await shot("dead-letters");
  await panel(frame).getByRole("button", { name: "Edit" }).click();
  await panel(frame).locator("textarea").fill("{ this is no JSON");
  await panel(frame).getByRole("button", { name: "Send this instead" }).click();
  await says(frame, "invalid_json");
  await panel(frame).locator("textarea").fill('{ "mended": true }');
  await panel(frame).getByRole("button", { name: "Send this instead" }).click();
  await says(frame, "mended"); // refused again, with the new data
  await panel(frame).getByRole("button", { name: "Drop" }).click();
  await says(frame, "has refused nothing");
  await frame.locator("#tab-dead-letters .count").waitFor({ state: "detached" });
}

async function timeline(frame, shot) {
  await open(frame, "timeline");
  await says(frame, "whole way");
  const row = panel(frame).locator("tbody").first().locator("tr").last();
  const [, events, half] = await row.locator("td").allTextContents();
  if (!(Number(events) >= 100) || !/\d/.test(half)) throw new Error(`the timeline saw ${events} events, ${half}`);
  await shot("timeline");
}

async function metrics(frame, shot) {
  await open(frame, "metrics");
  await panel(frame).locator(".charts canvas").nth(2).waitFor();
  await frame.uncheck("#online");
  await frame.click("#views");
  const waiting = panel(frame).locator("tbody").first().locator("td").nth(1);
  await waiting.getByText("100", { exact: true }).waitFor();
  await frame.check("#online");
  await waiting.getByText("0", { exact: true }).waitFor();
  await frame.waitForTimeout(2_000); // a line needs some points
  await shot("metrics");
}

async function conflicts(phone, laptop, shot) {
  for (const frame of [phone, laptop]) {
    await open(frame, "conflicts");
    await frame.uncheck("#online");
  }
  await phone.fill('input[name="email"]', "phone@example.org");
  await phone.locator('input[name="email"]').blur();
  await laptop.fill('input[name="email"]', "laptop@example.org");
  await laptop.locator('input[name="email"]').blur();
  for (const frame of [phone, laptop]) await frame.waitForFunction(() => globalThis.engine.status.get().pending > 0);
  for (const frame of [phone, laptop]) await frame.check("#online");
  for (const frame of [phone, laptop]) await says(frame, "a person decides");
  for (const words of ["Before", "Mine", "Theirs"]) await says(phone, words);
  await shot("conflicts");
  await panel(phone)
    .getByRole("button", { name: /^Take Theirs/ })
    .click();
  for (const frame of [phone, laptop])
    await frame.waitForFunction(() => document.querySelector('input[name="email"]').value === "laptop@example.org");
}

async function cache(frame, shot) {
  for (let i = 0; i < 4; i++) await frame.click("#read");
  await frame.waitForTimeout(800); // the reads have ended: nothing comes in any more
  await open(frame, "cache");
  await says(frame, "encrypted");
  const before = await panel(frame).locator("tbody tr").count();
  await panel(frame).locator("input[type=range]").fill("40");
  const give = panel(frame).getByRole("button", { name: /^Give up/ });
  await give.waitFor();
  const foretold = await panel(frame).locator("tr.gone").count();
  await shot("cache");
  await give.click();
  await says(frame, "Given up.");
  await frame.waitForFunction(
    (left) => document.querySelector("#tools").shadowRoot.querySelectorAll("#panel tbody tr").length === left,
    before - foretold,
  );
}

async function storageAndPrivacy(page, frame, shot) {
  await open(frame, "storage");
  await says(frame, "storage: in order");
  await says(frame, "deadletters");
  await shot("storage");
  await open(frame, "privacy");
  const saved = page.waitForEvent("download");
  await panel(frame).getByRole("button", { name: "Export this device's data" }).click();
  const { size } = await (await import("node:fs/promises")).stat(await (await saved).path());
  if (size === 0) throw new Error("the export is empty");
  await shot("privacy");
  await panel(frame).getByRole("button", { name: "Erase this device's data" }).click();
  await panel(frame).getByRole("button", { name: "Yes, erase it" }).click();
  await says(frame, "Erased.");
  const left = await frame.evaluate(async () => (await indexedDB.databases()).map(({ name }) => name));
  if (left.includes("oas:demo-phone")) throw new Error(`the database is still there: ${left}`);
}

/** The tabs answer to the keyboard as tabs do. */
async function keyboard(frame) {
  await frame.focus("#tab-queue");
  const expected = [
    ["ArrowRight", "tab-dead-letters"],
    ["End", "tab-privacy"],
    ["ArrowRight", "tab-queue"],
    ["ArrowLeft", "tab-privacy"],
    ["Home", "tab-queue"],
  ];
  for (const [key, wanted] of expected) {
    await frame.locator("#tools [role=tab]:focus").press(key);
    const chosen = await frame.locator('#tools [role=tab][aria-selected="true"]').getAttribute("id");
    if (chosen !== wanted) throw new Error(`${key} chose ${chosen}, not ${wanted}`);
  }
}

/** Resolves with the names of the panels that were walked through; rejects where one does not do what it should. */
export async function tour(page, url, log) {
  await page.goto(url);
  const [phone, laptop] = [await frameOf(page, "phone"), await frameOf(page, "laptop")];
  const shot = async (name) => {
    await page.waitForTimeout(400); // the panel takes its last news
    await keepShot(phone.locator("#tools"), `panel-${name}`, {});
  };
  await keyboard(phone);
  const walks = {
    queue: () => queue(phone, shot),
    "dead letters": () => deadLetters(phone, shot),
    timeline: () => timeline(phone, shot),
    metrics: () => metrics(phone, shot),
    conflicts: () => conflicts(phone, laptop, shot),
    cache: () => cache(phone, shot),
    "storage and privacy": () => storageAndPrivacy(page, phone, shot),
  };
  for (const [name, walk] of Object.entries(walks)) {
    log(`panel: ${name}`);
    await walk();
  }
  return Object.keys(walks);
}

/** Analytics: nothing before consent, sessions as people expect them, sampling under pressure only, and reported. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { Analytics, type AnalyticsOptions, campaignOf, type EventQueue } from "../../js-glue/analytics/index.ts";
import { systemClock } from "../../js-glue/browser/platform.ts";
import type { QueuedEvent } from "../../js-glue/core/calls.ts";
import { Op } from "../../js-glue/core/io.ts";
import { EngineLoop } from "../../js-glue/core/loop.ts";
import { pageArgs, readPage } from "../../js-glue/core/pages.ts";
import { CountingRandom, callOf, Listener, noNetwork, realCore, TestStore } from "./helpers.ts";

interface Data {
  readonly name: string;
  readonly session: { readonly id: string; readonly number: number };
  readonly dropped?: number;
  readonly traits?: object;
}

function start(options: AnalyticsOptions = {}, more: Partial<EventQueue> = {}) {
  const events: QueuedEvent[] = [];
  const clock = { now: 1_000_000 };
  const queue = { queueEvent: async (event: QueuedEvent) => events.push(event), ...more };
  const analytics = new Analytics(queue, { now: () => clock.now, usage: async () => 0, ...options });
  return { analytics, events, clock, data: () => events.map(({ eventData }) => eventData as Data) };
}

test("without consent nothing is stored, not even for later", async () => {
  const { analytics, events } = start();
  assert.equal(await analytics.trackEvent("click"), "consent");
  analytics.consent(true);
  assert.equal(await analytics.trackEvent("click"), "queued");
  analytics.consent(false);
  assert.equal(await analytics.trackEvent("click"), "consent");
  assert.equal(events.length, 1);
  assert.equal(events[0]?.durability, "durable");
  assert.equal(events[0]?.priority, "analytics");
});

test("a session ends when nothing happens, and with consent", async () => {
  const { analytics, clock, data } = start();
  analytics.consent(true);
  await analytics.trackEvent("a");
  await analytics.trackEvent("b");
  clock.now += 31 * 60_000;
  await analytics.trackEvent("c");
  analytics.consent(false);
  analytics.consent(true);
  await analytics.trackEvent("d");
  const sessions = data().map(({ session }) => session);
  assert.equal(sessions[0]?.id, sessions[1]?.id);
  assert.deepEqual(
    sessions.map(({ number }) => number),
    [1, 2, 1, 1],
  );
  assert.equal(new Set(sessions.map(({ id }) => id)).size, 3);
});

test("withdrawn while a call asks for room: it is not stored", async () => {
  let answer = (_share: number): void => undefined;
  const { analytics, events } = start({ usage: () => new Promise((resolve) => (answer = resolve)) });
  analytics.consent(true);
  const tracked = analytics.trackEvent("click");
  await analytics.consent(false);
  answer(0);
  assert.equal(await tracked, "consent");
  assert.equal(events.length, 0);
});

test("withdrawn, what waits in the engine is given up, and so are refused events", async () => {
  const store = new TestStore();
  const listener = new Listener();
  const ports = { create: realCore(), store, transport: noNetwork, clock: systemClock, random: new CountingRandom() };
  const loop = new EngineLoop(ports, { device: new Uint8Array(16), drains: true }, listener);
  await loop.start(7n, [1, 1, 1, 1, 1]);
  const letters = [
    { id: "a", eventType: "analytics.click" },
    { id: "b", eventType: "order" },
  ];
  const dropped: string[] = [];
  const queueEvent = (event: QueuedEvent): Promise<unknown> => {
    const { call, done } = callOf(event);
    loop.enqueue([call]);
    return done;
  };
  const analytics = new Analytics(
    {
      queueEvent,
      parts: { host: async () => ({ loop }) },
      deadLetters: { export: async () => letters, drop: async (id) => void dropped.push(id) },
    },
    { usage: async () => 0 },
  );
  await analytics.consent(true);
  const secret = "ann@example.org";
  for (let i = 0; i < 50; i++) await analytics.trackEvent("search", { secret, i });
  await queueEvent({ eventType: "order", eventData: { n: 1 } });
  assert.equal(await analytics.consent(false), 50);
  assert.deepEqual(dropped, ["a"]);
  const { items } = readPage(await loop.command(Op.pending, pageArgs(new Uint8Array(0), 100)));
  assert.deepEqual(
    items.map(({ eventType }) => eventType),
    ["order"],
  );
  assert.equal(await analytics.consent(false), 0);
  await loop.close();
});

test("withdrawal that storage refuses is told to whoever asks, and to nobody else", async () => {
  const { analytics } = start({}, { parts: { host: () => Promise.reject(new Error("closed")) } });
  void analytics.consent(false);
  await assert.rejects(analytics.consent(false), /closed/);
  assert.equal(await analytics.trackEvent("click"), "consent");
});

test("two equal clicks are two events unless asked otherwise", async () => {
  const { analytics, events } = start();
  analytics.consent(true);
  for (let i = 0; i < 2; i++) await analytics.trackEvent("click", { id: 1 });
  for (let i = 0; i < 2; i++) await analytics.trackEvent("click", { id: 1 }, { dedupeMs: 60_000 });
  const keys = events.map(({ dedupeKey }) => dedupeKey);
  assert.deepEqual(keys.slice(0, 2), [undefined, undefined]);
  assert.equal(keys[2], keys[3]);
  assert.match(keys[2] ?? "", /^[0-9a-f]{32}$/);
});

test("under pressure one of ten is kept, and says how many were not", async () => {
  const { analytics, data } = start({ usage: async () => 0.95 });
  analytics.consent(true);
  const results = [];
  for (let i = 0; i < 21; i++) results.push(await analytics.trackEvent("scroll"));
  assert.equal(results.filter((result) => result === "sampled").length, 18);
  assert.deepEqual(
    data().map(({ dropped }) => dropped),
    [undefined, 9, 9],
  );
  assert.equal(analytics.dropped, 0);
});

test("campaigns are read from the address", () => {
  assert.deepEqual(campaignOf("https://a.example/?utm_source=mail&utm_campaign=spring&x=1"), {
    source: "mail",
    campaign: "spring",
  });
  assert.equal(campaignOf("https://a.example/"), undefined);
  assert.equal(campaignOf("nonsense"), undefined);
});

/** Analytics: nothing before consent, sessions as people expect them, sampling under pressure only, and reported. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { Analytics, type AnalyticsOptions, campaignOf } from "../../js-glue/analytics/index.ts";
import type { QueuedEvent } from "../../js-glue/core/calls.ts";

interface Data {
  readonly name: string;
  readonly session: { readonly id: string; readonly number: number };
  readonly dropped?: number;
  readonly traits?: object;
}

function start(options: AnalyticsOptions = {}) {
  const events: QueuedEvent[] = [];
  const clock = { now: 1_000_000 };
  const queue = { queueEvent: async (event: QueuedEvent) => events.push(event) };
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

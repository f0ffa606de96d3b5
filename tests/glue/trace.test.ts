// The trace of the devtools: what an engine's inputs and outputs say of calls and network, over a reload, within its bounds.
import assert from "node:assert/strict";
import { afterEach, describe, test } from "node:test";
import { formatEventId } from "../../js-glue/core/events.ts";
import { Metrics, summary } from "../../js-glue/devtools/metrics.ts";
import { Timeline } from "../../js-glue/devtools/timeline.ts";
import { Recorder } from "../../js-glue/devtools/trace.ts";
import { enqueue, persist, response, send, settled } from "./trace-words.ts";

type Entry = Readonly<Record<string, unknown>>;

class Page {
  readonly timeline = new Timeline();
  readonly recorder = new Recorder(this.timeline, "oas:test", performance.now());
  constructor() {
    this.timeline.called = (events, count) => this.recorder.called(events, count);
  }
  hear(direction: "in" | "out", entry: unknown, at = performance.now()): void {
    const heard = { at, direction, entry } as const;
    this.timeline.hear(heard);
    this.recorder.hear(heard);
  }
  get file(): { readonly leftOut: number; readonly entries: readonly Entry[] } {
    return JSON.parse(this.recorder.export());
  }
  get told(): readonly Entry[] {
    return this.file.entries.map(({ at: _, ...entry }) => entry);
  }
}

/** A browser's, of one tab. */
function keepSession(): Map<string, string> {
  const kept = new Map<string, string>();
  Object.assign(globalThis, {
    sessionStorage: {
      getItem: (key: string) => kept.get(key) ?? null,
      setItem: (key: string, value: string) => kept.set(key, value),
      removeItem: (key: string) => kept.delete(key),
    },
  });
  return kept;
}
afterEach(() => Reflect.deleteProperty(globalThis, "sessionStorage"));

const OURS = new TextEncoder().encode("OAS...");
const call = { kind: "call", lane: "normal", level: "strict", entity: 1, bytes: 2 };

describe("the trace", () => {
  test("calls have lane, size and fate; entities are numbers, and no words of the event are in it", () => {
    const page = new Page();
    page.hear("in", enqueue(1, ["a", "b"]));
    page.hear("out", persist(5, 1, 7, 2));
    page.hear("in", { kind: "persisted", tx: 5 });
    page.hear("out", settled(7, 8, [8]));
    assert.deepEqual(page.told, [
      { kind: "opened" },
      { ...call, stored: true, verdict: "applied" },
      { ...call, stored: true, verdict: "rejected" },
    ]);
    assert.ok(!page.recorder.export().includes("e/1"));
  });

  test("each request has its outcome; one without is no news", () => {
    const page = new Page();
    const replies = [
      response(1, 200, OURS),
      response(2, 200),
      response(3, 503, OURS, 5_000),
      { kind: "sendFailed", request: 4 },
    ];
    for (const [i, reply] of replies.entries()) {
      page.hear("out", send(i + 1));
      page.hear("in", reply);
    }
    page.hear("out", send(5));
    page.recorder.note({ kind: "lost", what: "reply" }, performance.now());
    page.hear("in", { kind: "sendFailed", request: 5 });
    page.hear("out", send(6));
    assert.deepEqual(
      page.told.slice(1).map(({ kind: _, ...outcome }) => outcome),
      [
        { outcome: "answered" },
        { outcome: "foreign" },
        { outcome: "status", status: 503, retryAfterMs: 5_000 },
        { outcome: "request_lost" },
        { outcome: "reply_lost" },
      ],
    );
  });

  test("the network is told where it changes, whoever says so", () => {
    const page = new Page();
    const online = (online: boolean) => page.hear("in", { kind: "connectivity", online, tokenFresh: false });
    online(true);
    online(false);
    online(false);
    online(true);
    page.recorder.note({ kind: "network", mode: "captive" }, performance.now());
    online(true); // the browser's guess is no better
    assert.deepEqual(
      page.told.slice(1).map(({ mode }) => mode),
      ["offline", "online", "captive"],
    );
  });

  test("the next page of the tab goes on, and hears what becomes of earlier calls", () => {
    const kept = keepSession();
    const first = new Page();
    first.hear("in", enqueue(1, ["a", "b"]));
    first.hear("out", persist(5, 1, 7, 2));
    first.hear("in", { kind: "persisted", tx: 5 });
    first.hear("out", settled(7, 7));
    first.recorder.leave();
    assert.equal(kept.size, 1);
    const second = new Page();
    assert.equal(kept.size, 0);
    second.hear("in", enqueue(1, ["c"], "e/2"));
    second.hear("in", enqueue(2, ["d"]));
    second.hear("out", settled(8, 8, [8]));
    assert.deepEqual(second.told, [
      { kind: "opened" },
      { ...call, stored: true, verdict: "applied" },
      { ...call, stored: true, verdict: "rejected" },
      { kind: "killed" },
      { kind: "opened" },
      { ...call, entity: 2, stored: false, verdict: "unknown" },
      { ...call, stored: false, verdict: "unknown" },
    ]);
    assert.equal(second.timeline.events.length, 2);
    const times = second.file.entries.map(({ at }) => Number(at));
    assert.deepEqual(
      times,
      [...times].sort((a, b) => a - b),
    );
  });

  test("it is bounded, and says what it left out", () => {
    const page = new Page();
    for (let run = 0; run < 6; run++) page.hear("in", enqueue(1 + run * 900, Array(900).fill("x")));
    assert.equal(page.file.entries.length, 4_000);
    assert.equal(page.file.leftOut, 6 * 900 + 1 - 4_000);
    const one = new Page();
    one.hear("in", enqueue(1, Array(1_500).fill("x")));
    assert.equal(one.file.leftOut, 500);
  });

  test("a page that stays open for long tells its last day", () => {
    const page = new Page();
    const now = performance.now();
    for (const hour of [1, 2, 26]) page.hear("in", enqueue(hour, ["x"]), now + hour * 3_600_000);
    const { leftOut, entries } = page.file;
    assert.equal(leftOut, 2); // the opening, and the first call
    assert.deepEqual(
      entries.map(({ at }) => at),
      [0, 86_400_000],
    );
  });

  test("an id that is none is not followed", () => {
    assert.equal(new Timeline().resume("no id"), undefined);
    assert.ok(new Timeline().resume(formatEventId({ epoch: 1n, lane: 0, seq: 1 })));
  });
});

describe("the readings", () => {
  const status = (pending: number, applied: number) => ({ pending, applied }) as Parameters<Metrics["read"]>[0];
  const event = (calledAt: number, settledAt: number) =>
    ({ calledAt, settledAt }) as Parameters<Metrics["read"]>[1][number];

  test("applied counts by the second, an answer counts once", () => {
    const metrics = new Metrics();
    metrics.read(status(9, 100), [], 1_000, 5_000);
    metrics.read(status(5, 104), [event(1_100, 1_500), event(1_100, 2_500), event(500, 900)], 3_000, 7_000);
    metrics.read(status(5, 104), [event(1_100, 2_500)], 4_000, 8_000);
    assert.deepEqual(metrics.readings, [
      { at: 5, waiting: 9, applied: 0, answered: null },
      { at: 7, waiting: 5, applied: 2, answered: 400 },
      { at: 8, waiting: 5, applied: 0, answered: null },
    ]);
  });

  test("the last five minutes are kept, and summed up without what is not known", () => {
    const metrics = new Metrics();
    for (let second = 0; second < 400; second++) metrics.read(status(second, 0), [], second * 1_000, second * 1_000);
    assert.equal(metrics.readings.length, 300);
    assert.equal(metrics.readings[0]?.waiting, 100);
    assert.deepEqual(summary([2, null, 4]), { mean: 3, most: 4, now: 4 });
    assert.deepEqual(summary([2, null]), { mean: 2, most: 2 });
    assert.deepEqual(summary([null]), {});
  });
});

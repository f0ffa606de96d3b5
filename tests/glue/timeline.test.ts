// The timeline of the devtools: what a trace says about each event, and nothing it does not say.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { percentile, Timeline } from "../../js-glue/devtools/timeline.ts";
import { enqueue, persist, response, send, settled } from "./trace-words.ts";

function told(...story: readonly (readonly ["in" | "out" | "trap", number, unknown])[]): Timeline {
  const timeline = new Timeline();
  for (const [direction, at, entry] of story) timeline.hear({ direction, at, entry });
  return timeline;
}

describe("the timeline", () => {
  test("an event is called, stored, pushed and acknowledged, in the words of the trace", () => {
    const { events } = told(
      ["in", 10, enqueue(1, ["a", "b"])],
      ["out", 10, persist(5, 1, 7, 2)],
      ["in", 14, { kind: "persisted", tx: 5 }],
      ["out", 20, send(3)],
      ["in", 90, response(3)],
      ["out", 90, persist(6)],
      ["in", 95, { kind: "persisted", tx: 6 }],
      ["out", 95, settled(7, 8, [8])],
    );
    assert.deepEqual(
      events.map(({ eventType, calledAt, storedAt, pushedAt, settledAt, verdict }) => [
        ...[eventType, calledAt, storedAt, pushedAt, settledAt, verdict],
      ]),
      [
        ["b", 10, 14, 20, 95, "rejected"],
        ["a", 10, 14, 20, 95, "applied"],
      ],
    );
    assert.equal(events[1]?.id, "00000000-0000-0abc-0200-000000000007");
  });

  test("what others push has no push time, what fails has no stored time", () => {
    const { events } = told(
      ["in", 1, enqueue(1, ["lost"])],
      ["out", 1, persist(1, 1, 1)],
      ["in", 2, { kind: "persistFailed", tx: 1, failure: 0, code: 1 }],
      ["in", 3, enqueue(2, ["by a worker"])],
      ["out", 3, persist(2, 2, 1)],
      ["in", 4, { kind: "persisted", tx: 2 }],
      ["in", 9, { kind: "peer", bytes: new Uint8Array(0) }],
      ["out", 9, settled(1, 1)],
    );
    const [worker, lost] = events;
    assert.deepEqual([worker?.storedAt, worker?.pushedAt, worker?.settledAt], [4, undefined, 9]);
    assert.deepEqual([lost?.storedAt, lost?.settledAt], [undefined, undefined]);
  });

  test("a push is that of its own answer, also when several are under way and one fails", () => {
    const stored = (call: number, seq: number) =>
      [
        ["in", seq, enqueue(call, [`e${call}`])],
        ["out", seq, persist(call, call, seq)],
        ["in", seq, { kind: "persisted", tx: call }],
      ] as const;
    const { events } = told(
      ...stored(1, 1),
      ["out", 10, send(1)],
      ["in", 15, { kind: "sendFailed", request: 1 }],
      ["out", 20, send(2)],
      ["in", 30, response(2)],
      ["out", 30, settled(1, 1)],
    );
    assert.equal(events[0]?.pushedAt, 20);
  });

  test("it keeps the last thousand, whatever comes", () => {
    const timeline = new Timeline();
    const types = Array.from({ length: 2_500 }, (_, i) => `t${i}`);
    timeline.hear({ direction: "in", at: 1, entry: enqueue(1, types) });
    timeline.hear({ direction: "in", at: 2, entry: enqueue(2_501, ["last"]) });
    assert.equal(timeline.events.length, 1_000);
    assert.equal(timeline.events[0]?.eventType, "last");
    assert.equal(timeline.events[1]?.eventType, "t2499");
  });

  test("percentiles are values that were measured", () => {
    assert.equal(percentile([], 50), undefined);
    assert.equal(percentile([3, 1, 2], 50), 2);
    assert.equal(percentile([3, 1, 2], 95), 3);
  });
});

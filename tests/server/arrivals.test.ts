/** A crowd at the door is spread over as long as it needs, and nobody in it is lost. */

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Arrivals, returnSpreadMs, Turns } from "../../js-glue/server/operations/arrivals.ts";

/** All come at once and come back when they are told to; the milliseconds at which they got in. */
function crowd(count: number, perSecond: number, burst: number): readonly number[] {
  const door = new Arrivals(perSecond, burst);
  const waiting = Array.from({ length: count }, () => 0);
  const inside: number[] = [];
  while (waiting.length > 0) {
    waiting.sort((a, b) => b - a);
    const at = waiting.pop()!;
    const wait = door.admit(at);
    if (wait === 0) inside.push(at);
    else waiting.push(at + wait);
  }
  return inside;
}

describe("arrivals", () => {
  test("the burst comes in at once, the others one by one, over a time that grows with the crowd", () => {
    for (const count of [1_000, 10_000]) {
      const inside = crowd(count, 100, 200);
      assert.equal(inside.length, count);
      assert.equal(inside.filter((at) => at === 0).length, 200);
      const bySecond = new Map<number, number>();
      for (const at of inside.filter((ms) => ms > 0))
        bySecond.set(Math.floor(at / 1_000), (bySecond.get(Math.floor(at / 1_000)) ?? 0) + 1);
      assert.ok(Math.max(...bySecond.values()) <= 101);
      const last = Math.max(...inside) / 1_000;
      assert.ok(last >= (count - 200) / 100 - 1 && last <= count / 100 + 3, String(last));
    }
  });

  test("after a silence there is a burst again, and turns begin anew", () => {
    const door = new Arrivals(10, 2);
    assert.deepEqual([door.admit(0), door.admit(0)], [0, 0]);
    assert.deepEqual([door.admit(0), door.admit(0)], [100, 200]);
    assert.deepEqual([door.admit(60_000), door.admit(60_000)], [0, 0]);
    assert.equal(door.admit(60_000), 100);
  });

  test("nobody is sent away for more than ten minutes", () => {
    const turns = new Turns(1);
    let wait = 0;
    for (let n = 0; n < 10_000; n++) wait = turns.next(0);
    assert.equal(wait, 600_000);
  });

  test("lost streams come back over seconds when they are few, and under the rate when they are many", () => {
    assert.equal(returnSpreadMs(1, 300), 1_000);
    assert.equal(returnSpreadMs(1_000, 300), 40_000);
    assert.equal(returnSpreadMs(10_000, 300), 40_000);
    assert.equal(returnSpreadMs(100_000, 300), (100_000 / 300) * 1_000);
  });
});

/** A replica comes back when the server wants it to, and apart from others. */

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ReturnTime } from "../../js-glue/documents/return-time.ts";

describe("coming back to the stream", () => {
  test("what the last heartbeat asked for holds, once", () => {
    const time = new ReturnTime();
    for (const line of ["retry: 41000", "", "event: poke", "retry: 7000"]) time.heard(line);
    assert.equal(time.next(0), 7_000);
    assert.equal(time.next(0), 0);
  });

  test("a refusal asks in seconds; a date and nonsense ask for nothing", () => {
    const time = new ReturnTime();
    time.refused("12");
    assert.equal(time.next(0), 12_000);
    for (const header of [null, "Wed, 21 Oct 2026 07:28:00 GMT", "-5", "soon"]) {
      time.refused(header);
      assert.equal(time.next(0), 0);
    }
  });

  test("nobody can send it away for longer than ten minutes", () => {
    const time = new ReturnTime();
    time.heard("retry: 999999999");
    assert.equal(time.next(0), 600_000);
    time.refused("1e300");
    assert.equal(time.next(0), 600_000);
    time.heard("retry: 99999999999999999999");
    assert.equal(time.next(0), 0);
  });

  test("full jitter doubles with every failure up to thirty seconds, and begins anew once something was heard", () => {
    const time = new ReturnTime();
    const most = Array.from({ length: 8 }, () => Math.round(time.next(1 - 1e-9)));
    assert.deepEqual(most, [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000]);
    time.heard(": still here");
    assert.equal(Math.round(time.next(0.5)), 500);
  });
});

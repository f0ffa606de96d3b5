// Changed rows of a table: what travels, and what nonsense does.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { joinBytes, sameBytes } from "../../js-glue/core/bytes.ts";
import { applyDelta, makeDelta } from "../../js-glue/core/file-delta.ts";
import { nextVersion, shippedModel } from "../server/model-files.ts";
import { Random } from "../server/supply-faults.ts";

const ROW = 96;
const bytesOf = (random: Random, size: number): Uint8Array<ArrayBuffer> =>
  new Uint8Array(size).map(() => random.below(256));

/** A table as the format has it: a head, ids of 64 bytes a row, weights of 32 a row, a checksum. */
function tableOf(rows: readonly Uint8Array[], head: number, random: Random): Uint8Array<ArrayBuffer> {
  const ids = rows.map((row) => row.subarray(0, 64));
  const weights = rows.map((row) => row.subarray(64));
  return joinBytes(new Uint8Array(head).fill(7), ...ids, ...weights, bytesOf(random, 32));
}

describe("deltas of tables", () => {
  test("a changed row costs its own bytes and at most sixteen more, wherever it lies", () => {
    const random = new Random(3);
    const rows = Array.from({ length: 4_096 }, () => bytesOf(random, ROW));
    const old = tableOf(rows, 5_312, random);
    for (const count of [0, 1, 20, 205, 1_000]) {
      const next = rows.slice();
      for (let i = 0; i < count; i++) next[random.below(rows.length)] = bytesOf(random, ROW);
      const file = tableOf(next, 5_312, random);
      const delta = makeDelta(old, file);
      assert.ok(delta.length <= count * (ROW + 16) + 64, `${count} rows: ${delta.length} bytes of ${file.length}`);
      assert.ok(sameBytes(applyDelta(old, delta, file.length), file));
    }
  });

  test("rows that were added move the others, which do not travel for it", () => {
    const random = new Random(4);
    const rows = Array.from({ length: 500 }, () => bytesOf(random, ROW));
    const old = tableOf(rows, 640, random);
    const added = tableOf([...rows, bytesOf(random, ROW), bytesOf(random, ROW)], 704, random);
    const delta = makeDelta(old, added);
    assert.ok(delta.length < 2 * (ROW + 16) + 128, `${delta.length}`);
    assert.ok(sameBytes(applyDelta(old, delta, added.length), added));
  });

  test("any two files: what is made is what was meant", () => {
    const random = new Random(5);
    for (let i = 0; i < 300; i++) {
      const old = bytesOf(random, random.below(400));
      const cut = random.below(old.length + 1);
      const file = joinBytes(old.subarray(cut), bytesOf(random, random.below(80)), old.subarray(0, cut));
      assert.ok(sameBytes(applyDelta(old, makeDelta(old, file), file.length), file), `${i}`);
    }
  });

  test("the shipped table: fifteen of its 294 rows", () => {
    const old = shippedModel("recommendation");
    const changes = Array.from({ length: 15 }, (_, i) => i * 19).flatMap((row) =>
      Array.from({ length: 32 }, (_, i) => [5_312 + 64 * row + 2 * i, 5_312 + 64 * 294 + 32 * row + i]).flat(),
    );
    const file = nextVersion(old, "1.1.0", changes);
    assert.ok(makeDelta(old, file).length <= 15 * (ROW + 16) + 128);
  });

  test("whatever else comes is refused by name, and no memory is taken for it", () => {
    const random = new Random(6);
    const old = bytesOf(random, 1_000);
    const file = old.slice();
    file[500] = (file[500] ?? 0) ^ 1;
    const delta = makeDelta(old, file);
    let refused = 0;
    for (let i = 0; i < 2_000; i++) {
      const changed = delta.slice(0, random.below(3) === 0 ? random.below(delta.length) : delta.length);
      const at = random.below(Math.max(1, changed.length));
      if (changed.length === delta.length) changed[at] = (changed[at] ?? 0) ^ (1 << random.below(8));
      try {
        assert.equal(applyDelta(old, changed, file.length).length, file.length);
      } catch (error) {
        assert.equal((error as { code?: string }).code, "malformed");
        refused++;
      }
    }
    assert.ok(refused > 500, `${refused}`);
    for (const bad of [[0, 0, 0], [0x80], [0xff, 0xff, 0xff, 0xff, 0xff, 0xff], [0, 0xff, 0xff, 0x7f, 0], [5, 1]])
      assert.throws(() => applyDelta(old, Uint8Array.from(bad), 10), { code: "malformed" });
  });
});

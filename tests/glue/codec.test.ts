// The byte block, against bytes written out by hand: the C++ side has the same (tests/unit/engine/io_codec_test.cc).
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { readOutputs, writeInputs } from "../../js-glue/core/codec.ts";
import type { Input } from "../../js-glue/core/io.ts";

function written(inputs: readonly Input[]): number[] {
  let block = new Uint8Array(0);
  const core = {
    input: (bytes: number) => {
      block = new Uint8Array(bytes).fill(0xee);
      return block;
    },
    step: () => block,
    delete: () => undefined,
  };
  writeInputs(core, inputs);
  return [...block];
}

const bytes = (...values: number[]) => Uint8Array.from(values);

describe("inputs", () => {
  test("have kind, size and fields in order", () => {
    assert.deepEqual(
      written([{ kind: "woke" }, { kind: "persisted", tx: 258 }]),
      [8, 0, 0, 0, 0, 4, 4, 0, 0, 0, 2, 1, 0, 0],
    );
    assert.deepEqual(
      written([{ kind: "enqueue", first: 1, count: 2, text: bytes(65) }]),
      [1, 13, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 65],
    );
    assert.deepEqual(
      written([{ kind: "persistFailed", tx: 1, failure: 2, code: 0x0102 }]),
      [5, 7, 0, 0, 0, 1, 0, 0, 0, 2, 2, 1],
    );
    assert.deepEqual(
      written([{ kind: "loaded", load: 3, records: [{ key: bytes(1, 2), value: bytes(9) }] }]),
      [2, 19, 0, 0, 0, 3, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 1, 2, 1, 0, 0, 0, 9],
    );
    assert.deepEqual(
      written([{ kind: "response", request: 1, status: 200, retryAfterMs: 7, body: bytes(5) }]),
      [6, 15, 0, 0, 0, 1, 0, 0, 0, 200, 0, 7, 0, 0, 0, 1, 0, 0, 0, 5],
    );
    assert.deepEqual(written([{ kind: "connectivity", online: true, tokenFresh: false }]), [9, 2, 0, 0, 0, 1, 0]);
    assert.deepEqual(
      written([{ kind: "command", command: 4, op: 255, args: bytes(1) }]),
      [11, 10, 0, 0, 0, 4, 0, 0, 0, 255, 1, 0, 0, 0, 1],
    );
  });

  test("start is 106 bytes of fixed width", () => {
    const start = written([
      {
        kind: "start",
        device: new Uint8Array(16).fill(1),
        epoch: 0x0807060504030201n,
        next: [1, 2, 3, 4, 5],
        seed: new Uint8Array(32).fill(7),
        durability: 2,
        drains: true,
      },
    ]);
    assert.equal(start.length, 5 + 106 - 8);
    assert.deepEqual(start.slice(21, 29), [1, 2, 3, 4, 5, 6, 7, 8]);
    assert.deepEqual(start.slice(29, 45), [1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0]);
    assert.deepEqual(start.slice(-3), [7, 2, 1]);
  });
});

describe("outputs", () => {
  test("are read, copied, and detached from the block", () => {
    const body = [1, 0, 0, 0, 2, /* expects */ 1, 0, 0, 0, 2, 1, 0, 0, 0, 0x6d, 1, 0, 0, 0, 5];
    const puts = [1, 0, 0, 0, 1, 0, 0, 0, 0x73, 2, 0, 0, 0, 8, 9];
    const rest = [/* deletes */ 0, 0, 0, 0, /* guard */ 0, 0, 0, 0, 0, 0, 0, 0, /* covers */ 0, 0, 0, 0];
    const persist = [...body, ...puts, ...rest];
    const wake = [7, 8, 0, 0, 0, 0x10, 0x27, 0, 0, 0, 0, 0, 0];
    const block = Uint8Array.from([0, persist.length, 0, 0, 0, ...persist, ...wake]);
    const [first, second] = readOutputs(block);
    assert.ok(first?.kind === "persist");
    const value = first.batch.puts[0]?.value;
    block.fill(0);
    assert.deepEqual([...(value ?? [])], [8, 9]);
    assert.equal(value?.buffer.byteLength, 2);
    assert.equal(first.batch.level, "strict");
    assert.equal(first.batch.guard, undefined);
    assert.equal(first.batch.expects[0]?.kind, "equals");
    assert.deepEqual(second, { kind: "wake", at: 10_000 });
    const follow = [8, 8, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8];
    assert.deepEqual(readOutputs(Uint8Array.from(follow)), [{ kind: "follow", owner: 0x0807060504030201n }]);
  });

  test("a block that is cut or has bytes too many is refused", () => {
    const wake = [7, 8, 0, 0, 0, 0x10, 0x27, 0, 0, 0, 0, 0, 0];
    for (let cut = 1; cut < wake.length; cut++) assert.throws(() => readOutputs(Uint8Array.from(wake.slice(0, cut))));
    assert.throws(() => readOutputs(Uint8Array.from([7, 9, 0, 0, 0, 0x10, 0x27, 0, 0, 0, 0, 0, 0, 0])));
    assert.throws(() => readOutputs(Uint8Array.from([99, 0, 0, 0, 0])));
  });
});

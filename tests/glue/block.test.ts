// Blocks are what documents.wasm and infer.wasm are asked with; a byte that is lost between two calls is lost for good.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { BlockReader, BlockWriter } from "../../js-glue/core/block.ts";

describe("blocks", () => {
  test("hold everything that was written, wherever the buffer had to grow", () => {
    for (let size = 1_000; size < 1_050; size++) {
      const raw = new Uint8Array(size).fill(7);
      const writer = new BlockWriter().u8(0).raw(raw).u8(1).sized(raw).varint(300).text("é".repeat(400)).u8(9);
      const reader = new BlockReader(writer.bytes());
      for (let i = 0; i < size; i++) assert.equal(reader.u8(), 7);
      assert.equal(reader.u8(), 1, `after ${size} bytes`);
      assert.deepEqual(reader.sized(), raw);
      assert.equal(reader.varint(), 300);
      assert.equal(reader.text(), "é".repeat(400));
      assert.equal(reader.u8(), 9);
    }
  });
});

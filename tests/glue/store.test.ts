// The store in memory passes what IndexedDB passes in a real browser (tests/browser/store.test.ts).
import { describe, test } from "node:test";
import { MemoryStore } from "../../js-glue/core/memory-store.ts";
import { storeCases } from "./store-conformance.ts";

describe("MemoryStore", () => {
  for (const { name, run } of storeCases) test(name, () => run(new MemoryStore()));
});

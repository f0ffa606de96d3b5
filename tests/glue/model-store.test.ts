// Model files in storage and on their way there: swaps, rollbacks, damage, what is kept, what is refused.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { systemCrypto } from "../../js-glue/browser/contexts.ts";
import { joinBytes, sameBytes, toHex, utf8 } from "../../js-glue/core/bytes.ts";
import { MemoryStore } from "../../js-glue/core/memory-store.ts";
import {
  BLOCK_BYTES,
  blockHashes,
  fits,
  fromBase64,
  type ModelStatement,
  modelId,
  readStatement,
} from "../../js-glue/core/model-statement.ts";
import { behind, RECORD_BYTES } from "../../js-glue/models/blobs.ts";
import { KnownBlocks } from "../../js-glue/models/known-blocks.ts";
import { chooseEntry, type Manifest, type ManifestEntry, rolloutPlace } from "../../js-glue/models/manifest.ts";
import { ModelStore, type StoredModel } from "../../js-glue/models/model-store.ts";
import { webVerifier } from "../../js-glue/models/registry.ts";
import { ModelUpdater, type Registry } from "../../js-glue/models/updater.ts";
import { newKey } from "../server/model-files.ts";

const fileOf = (size: number, seed: number): Uint8Array<ArrayBuffer> =>
  new Uint8Array(size).map((_, i) => (Math.imul(i + seed, 2_654_435_761) >>> 13) & 0xff);
const about = async (file: Uint8Array, version: string): Promise<StoredModel> => ({
  version,
  quant: "int8",
  bytes: file.length,
  sha256: toHex(await systemCrypto.sha256(file)),
});
const everything = { from: utf8("o"), to: utf8("p") };

async function damage(store: MemoryStore, sha256: string): Promise<void> {
  const mark = toHex(utf8("of")); // any record of the file
  const records = await store.scan(everything, 1_000);
  const found = records.find(({ key }) => toHex(key).startsWith(mark) && toHex(key).includes(sha256));
  assert.ok(found);
  const value = found.value.slice();
  value[3] = (value[3] ?? 0) ^ 1;
  await store.commit({ level: "durable", expects: [], deletes: [], puts: [{ key: found.key, value }] });
}

describe("model files in storage", () => {
  test("two versions are kept, the third lets the first go, and so does what was staged and given up", async () => {
    const memory = new MemoryStore();
    const store = new ModelStore(memory, systemCrypto);
    const files = [1, 2, 3].map((seed) => fileOf(100_000, seed));
    const given = await about(fileOf(100_000, 9), "0.9.0");
    await store.stage("a", given.sha256, 0, fileOf(RECORD_BYTES, 9));
    for (const [i, file] of files.entries()) await store.install("a", await about(file, `1.${i}.0`), file);
    assert.equal((await store.head("a"))?.current.version, "1.2.0");
    assert.equal((await store.head("a"))?.previous?.version, "1.1.0");
    const records = await memory.scan(everything, 1_000);
    assert.equal(records.length, 1 + 2 * Math.ceil(100_000 / RECORD_BYTES));
    await store.install("ab", await about(files[0]!, "1.0.0"), files[0]!);
    await store.remove("a");
    assert.equal(await store.open("a"), undefined);
    assert.ok((await store.open("ab"))?.file);
  });

  test("a damaged file gives way to the one before; neither is rolled back to nor swapped in", async () => {
    const memory = new MemoryStore();
    const store = new ModelStore(memory, systemCrypto);
    const [old, fresh] = [fileOf(90_000, 1), fileOf(90_000, 2)];
    const models = [await about(old, "1.0.0"), await about(fresh, "1.1.0")] as const;
    await store.install("a", models[0], old);
    await store.install("a", models[1], fresh);
    await damage(memory, models[1].sha256);
    assert.ok(sameBytes((await store.open("a"))!.file, old));
    await store.install("a", models[1], fresh);
    await damage(memory, models[0].sha256);
    await assert.rejects(store.rollback("a"), { code: "checksum" });
    assert.ok(sameBytes((await store.open("a"))!.file, fresh));
    await assert.rejects(store.swap("a", await about(fileOf(5, 5), "2.0.0")), { code: "checksum" });
    await assert.rejects(store.install("a", models[0], fresh), { code: "checksum" });
  });

  test("rollback goes one version back, once", async () => {
    const store = new ModelStore(new MemoryStore(), systemCrypto);
    const files = [fileOf(1, 1), fileOf(2, 2)];
    for (const [i, file] of files.entries()) await store.install("a", await about(file, `1.${i}.0`), file);
    assert.equal((await store.rollback("a")).version, "1.0.0");
    await assert.rejects(store.rollback("a"), { code: "not_found" });
    await assert.rejects(store.rollback("b"), { code: "not_found" });
  });

  test("two contexts swap at once: one after the other, and a whole file is in use", async () => {
    const memory = new MemoryStore();
    const files = [1, 2, 3, 4].map((seed) => fileOf(50_000, seed));
    const outcomes = await Promise.allSettled(
      files.map(async (file, i) =>
        new ModelStore(memory, systemCrypto).install("a", await about(file, `1.${i}.0`), file),
      ),
    );
    const store = new ModelStore(memory, systemCrypto);
    assert.ok(outcomes.some(({ status }) => status === "fulfilled"));
    const head = await store.head("a");
    assert.equal((await store.open("a"))?.model.sha256, head?.current.sha256);
  });

  test("the end of a range of keys", () => {
    assert.deepEqual(behind(Uint8Array.of(1, 2)), Uint8Array.of(1, 3));
    assert.deepEqual(behind(Uint8Array.of(1, 0xff, 0xff)), Uint8Array.of(2));
  });
});

test("blocks are found wherever they lie in the old file", async () => {
  const old = fileOf(10 * BLOCK_BYTES + 100, 1);
  const added = fileOf(BLOCK_BYTES, 7);
  // One block in front, the third replaced, the tail as it was.
  const next = joinBytes(added, old.subarray(0, 2 * BLOCK_BYTES), added, old.subarray(3 * BLOCK_BYTES));
  const known = new KnownBlocks(await blockHashes(systemCrypto, next), await blockHashes(systemCrypto, old), old);
  const runs = known.runs(0, next.length);
  assert.deepEqual(
    runs.map(({ from, to, local }) => [from / BLOCK_BYTES, to - from, local !== undefined]),
    [
      [0, BLOCK_BYTES, false],
      [1, 2 * BLOCK_BYTES, true],
      [3, BLOCK_BYTES, false],
      [4, 7 * BLOCK_BYTES + 100, true],
    ],
  );
  const whole = joinBytes(...runs.map(({ from, to, local }) => local ?? next.subarray(from, to)));
  assert.ok(sameBytes(whole, next));
});

const statement: ModelStatement = {
  slug: "a",
  kind: "text",
  version: "1.0.0",
  runtime: "native",
  quant: "int8",
  format: "oasm-1",
  bytes: 10,
  sha256: "0".repeat(64),
  blocksSha256: "0".repeat(64),
  minCaps: {},
  metrics: [],
  licence: "x",
  attribution: "y",
};

test("a statement's fields are held to their shapes; one text stands for a signature", () => {
  const good = JSON.stringify(statement);
  assert.equal(modelId(readStatement(good)), "a-1.0.0-native-int8");
  for (const change of [
    { slug: "a.b" },
    { kind: "image" },
    { bytes: 1.5 },
    { minCaps: [1] },
    { minCaps: { memoryMB: "many" } },
    { metrics: {} },
    { licence: "" },
    { sha256: "F".repeat(64) },
    { issuedAt: "yesterday" },
    { expiresAt: 1.5 },
  ])
    assert.throws(() => readStatement(JSON.stringify({ ...statement, ...change })), { code: "malformed" });
  assert.throws(() => readStatement(`[${good}]`), { code: "malformed" });
  assert.ok(fits({ simd: true, memoryMB: 5 }, { simd: true, memoryMB: 5 }));
  assert.ok(!fits({ toString: true }, {}));
  assert.ok(fits({ simd: false }, {}));
  assert.equal(fromBase64("AAAAAA==", 4)?.length, 4);
  assert.equal(fromBase64("AAAAAB==", 4), undefined);
  assert.equal(fromBase64("AAAA", 4), undefined);
});

const entry = (version: string, more: Partial<ModelStatement> = {}, percent = 100): ManifestEntry => ({
  id: version,
  status: "active",
  rollout: { percent, salt: version },
  statement: { ...statement, version, ...more },
});

test("a device takes the newest version it is meant to have; a wider canary keeps the devices of the narrow one", async () => {
  const device = utf8("device");
  const choose = async (manifest: Manifest, caps = {}, quant: "int8" | "int4" = "int8") =>
    (await chooseEntry(manifest, "a", { device, caps, quant }, systemCrypto))?.id;
  const two = [entry("1.9.0"), entry("1.10.0")];
  assert.equal(await choose({ issuedAt: 1, entries: two }), "1.10.0");
  assert.equal(await choose({ issuedAt: 1, entries: [...two, entry("2.0.0", { minCaps: { simd: true } })] }), "1.10.0");
  assert.equal(await choose({ issuedAt: 1, entries: [...two, entry("2.0.0", {}, 0)] }), "1.10.0");
  assert.equal(await choose({ issuedAt: 1, entries: [entry("3.0.0", { runtime: "tfjs" })] }), undefined);
  const both = [
    { ...entry("1.0.0"), id: "big" },
    { ...entry("1.0.0", { quant: "int4" }), id: "small" },
  ];
  assert.equal(await choose({ issuedAt: 1, entries: both }, {}, "int4"), "small");
  assert.equal(await choose({ issuedAt: 1, entries: [...both].reverse() }), "big");
  const places = await Promise.all(
    Array.from({ length: 1_000 }, (_, i) => rolloutPlace(systemCrypto, utf8(`device ${i}`), "a-1.0.0")),
  );
  const share = places.filter((place) => place < 10).length;
  assert.ok(share > 65 && share < 140, `${share} of 1000 at 10 %`);
});

describe("updates", () => {
  const key = newKey();
  const keys = [Buffer.from(key.publicKey, "base64")];

  interface Times {
    readonly issuedAt: number;
    readonly expiresAt?: number;
    readonly statementEnds?: number;
  }
  async function registryOf(file: Uint8Array, version: string, times: Times | number): Promise<Registry> {
    const { statementEnds, ...list } = typeof times === "number" ? ({ issuedAt: times } as Times) : times;
    const blocks = await blockHashes(systemCrypto, file);
    const text = JSON.stringify({
      ...statement,
      version,
      bytes: file.length,
      sha256: toHex(await systemCrypto.sha256(file)),
      blocksSha256: toHex(await systemCrypto.sha256(blocks)),
      ...(statementEnds === undefined ? {} : { expiresAt: statementEnds }),
    });
    const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString("base64");
    const one = { id: "a", status: "active", rollout: { percent: 100, salt: "" }, statement: text };
    const models = [{ ...one, signature: base64(key.signStatement(text)) }];
    const body = JSON.stringify({ format: 1, ...list, models });
    return {
      name: "test",
      manifest: () => Promise.resolve(JSON.stringify({ body, signature: base64(key.signManifest(body)) })),
      blocks: () => Promise.resolve(blocks),
      range: (_, from, to) => Promise.resolve(file.slice(from, to)),
    };
  }
  const choice = { device: utf8("d"), caps: {}, quant: "int8" } as const;
  const shared = { verifier: webVerifier, keys, now: () => 1_000 };

  test("an older manifest is refused, also after a restart", async () => {
    const memory = new MemoryStore();
    const file = fileOf(9_000, 1);
    const make = async (issuedAt: number) => {
      const registry = await registryOf(file, "1.0.0", issuedAt);
      return new ModelUpdater({ store: new ModelStore(memory, systemCrypto), registry, ...shared });
    };
    assert.equal((await (await make(200)).update("a", choice))?.loaded, 9_000);
    assert.equal((await (await make(200)).update("a", choice))?.updated, false);
    await assert.rejects((await make(199)).update("a", choice), { code: "rewound" });
    assert.equal((await (await make(201)).update("a", choice))?.updated, false);
  });

  test("what has expired brings no update and takes nothing away; a clock that goes wrong or back does not help it", async () => {
    const memory = new MemoryStore();
    const store = new ModelStore(memory, systemCrypto);
    const [old, fresh] = [fileOf(9_000, 1), fileOf(9_000, 2)];
    const update = async (file: Uint8Array, version: string, times: Times, now: number) =>
      new ModelUpdater({ store, registry: await registryOf(file, version, times), ...shared, now: () => now }).update(
        "a",
        choice,
      );
    await update(old, "1.0.0", { issuedAt: 100, expiresAt: 500 }, 499);
    const inUse = async (): Promise<boolean> => sameBytes((await store.open("a"))!.file, old);
    const list = { issuedAt: 200, expiresAt: 600 };
    await assert.rejects(update(fresh, "1.1.0", list, 600), { code: "expired", detail: 600 });
    assert.ok(await inUse());
    // The old list is refused for being old, though a clock that was set back would let it pass.
    await assert.rejects(update(old, "1.0.0", { issuedAt: 100, expiresAt: 500 }, 0), { code: "rewound" });
    // A list that was written after its own end: no clock makes it good.
    await assert.rejects(update(fresh, "1.1.0", { issuedAt: 700, expiresAt: 700 }, 0), { code: "expired" });
    // One that names no end comes from before there were ends.
    await assert.rejects(update(fresh, "1.1.0", { issuedAt: 800 }, 0), { code: "rewound" });
    // The list is good, the publisher's word for the file is not; also where the device has that file already.
    const ended = { issuedAt: 900, expiresAt: 2_000, statementEnds: 950 };
    await assert.rejects(update(fresh, "1.1.0", ended, 950), { code: "expired", detail: 950 });
    await assert.rejects(update(old, "1.0.0", ended, 950), { code: "expired" });
    assert.ok(await inUse());
    const renewed = { ...ended, issuedAt: 901, statementEnds: 1_900 };
    assert.equal((await update(fresh, "1.1.0", renewed, 950))?.updated, true);
  });

  test("a list that names no end is taken as long as none with an end was seen; two tabs never go back", async () => {
    const store = new ModelStore(new MemoryStore(), systemCrypto);
    await store.sawManifest("r", { issuedAt: 5 });
    await store.sawManifest("r", { issuedAt: 5, expiresAt: 9 });
    await store.sawManifest("r", { issuedAt: 5, expiresAt: 8 });
    await assert.rejects(store.sawManifest("r", { issuedAt: 6 }), { code: "rewound" });
    const seen = [7, 9, 8].map((issuedAt) => store.sawManifest("r", { issuedAt, expiresAt: 99 }));
    await Promise.allSettled(seen);
    await assert.rejects(store.sawManifest("r", { issuedAt: 8, expiresAt: 99 }), { code: "rewound", detail: 9 });
  });

  test("a file that does not load here never comes into use, though it is signed", async () => {
    const store = new ModelStore(new MemoryStore(), systemCrypto);
    const old = fileOf(9_000, 1);
    await store.install("a", await about(old, "1.0.0"), old);
    const registry = await registryOf(fileOf(9_000, 2), "1.1.0", 1);
    const accept = () => Promise.reject(Object.assign(new Error("newer"), { code: "version_not_supported" }));
    const updater = new ModelUpdater({ store, registry, ...shared, accept });
    await assert.rejects(updater.update("a", choice), { code: "version_not_supported" });
    assert.ok(sameBytes((await store.open("a"))!.file, old));
  });

  test("a version that was retired is replaced by the older one; one that is still listed is not", async () => {
    const store = new ModelStore(new MemoryStore(), systemCrypto);
    const [old, fresh] = [fileOf(50_000, 1), fileOf(50_000, 2)];
    await store.install("a", await about(old, "1.0.0"), old);
    await store.install("a", await about(fresh, "1.1.0"), fresh);
    const registry = await registryOf(old, "1.0.0", 1);
    const updater = new ModelUpdater({ store, registry, ...shared });
    const report = await updater.update("a", choice);
    // It is the version before: nothing travels.
    assert.deepEqual(report, { updated: true, version: "1.0.0", loaded: 0, total: 50_000 });
    assert.ok(sameBytes((await store.open("a"))!.file, old));
    assert.equal(await updater.update("b", choice), undefined);
  });
});

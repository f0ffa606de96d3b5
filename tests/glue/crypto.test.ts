/** Keys in all three modes: what opens, what does not, and that nothing opens in another place. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { joinBytes, utf8 } from "../../js-glue/core/bytes.ts";
import { type KeyMode, KeyRing, MemoryCabinet, rotate, type SealedRecord } from "../../js-glue/crypto/index.ts";
import { keyIdOf, seal, unseal } from "../../js-glue/crypto/seal.ts";

const place = { tenant: "t", device: "d", store: "cache", record: "lesson/42/0", version: 1 };
const refused = (code: string) => (error: unknown) => (error as { code?: string }).code === code;

test("device keys open after a restart, in their place only", async () => {
  const cabinet = new MemoryCabinet();
  const sealed = await (await KeyRing.open(cabinet, { kind: "device" })).seal(place, utf8("secret"));
  const again = await KeyRing.open(cabinet, { kind: "device" });
  assert.deepEqual(await again.open(place, sealed), utf8("secret"));
  for (const change of [{ tenant: "" }, { device: "e" }, { store: "docs" }, { record: "lesson/42/1" }, { version: 2 }])
    await assert.rejects(again.open({ ...place, ...change }, sealed), refused("seal_broken"));
  const other = await KeyRing.open(new MemoryCabinet(), { kind: "device" });
  await assert.rejects(other.open(place, sealed), refused("key_missing"));
  await assert.rejects(again.open(place, utf8("short")), refused("seal_broken"));
});

test("a record is laid out as its description says, whoever wrote it", async () => {
  const id = "00112233445566ff";
  const key = await crypto.subtle.generateKey({ name: "AES-GCM", length: 256 }, false, ["encrypt", "decrypt"]);
  const where = { tenant: "t", device: "gerät", store: "cache", record: "lesson\0四", version: 12 };
  const iv = Uint8Array.from({ length: 12 }, (_, i) => i);
  const parts = [where.tenant, where.device, where.store, where.record, "12"].map(utf8);
  const additionalData = joinBytes(
    utf8("oas-seal-1"),
    ...parts.flatMap((part) => [Uint8Array.of(part.length, 0, 0, 0), part]),
  );
  const sealed = await crypto.subtle.encrypt({ name: "AES-GCM", iv, additionalData }, key, utf8("secret"));
  const head = Uint8Array.of(0x45, 1, 0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0xff, ...iv);
  const record = joinBytes(head, new Uint8Array(sealed));
  assert.equal(keyIdOf(record), id);
  assert.deepEqual(await unseal(key, where, record), utf8("secret"));
  const ours = await seal({ id, key }, where, utf8("secret"));
  assert.deepEqual(ours.subarray(0, 10), record.subarray(0, 10));
  assert.deepEqual(await unseal(key, where, ours), utf8("secret"));
});

test("a passphrase opens, another does not, and a lock holds", async () => {
  const cabinet = new MemoryCabinet();
  const ring = await KeyRing.open(cabinet, { kind: "passphrase" });
  await assert.rejects(ring.seal(place, utf8("x")), refused("key_locked"));
  await ring.unlock("correct horse");
  const sealed = await ring.seal(place, utf8("secret"));
  ring.lock();
  await assert.rejects(ring.open(place, sealed), refused("key_locked"));
  await assert.rejects(ring.unlock("wrong horse"), refused("wrong_key"));
  assert.equal(ring.locked, true);
  const again = await KeyRing.open(cabinet, { kind: "passphrase" });
  await again.unlock("correct horse");
  assert.deepEqual(await again.open(place, sealed), utf8("secret"));
  await assert.rejects(KeyRing.open(cabinet, { kind: "device" }), refused("invalid_argument"));
});

test("a released key is forgotten when its time is over", async () => {
  const mode: KeyMode = { kind: "server", release: async () => new Uint8Array(32).fill(7), unlockTtlMs: 500 };
  const ring = await KeyRing.open(new MemoryCabinet(), mode);
  await ring.unlock();
  const sealed = await ring.seal(place, utf8("secret"));
  const until = performance.now() + 510;
  while (performance.now() < until) await new Promise((resolve) => setTimeout(resolve, 5));
  await assert.rejects(ring.open(place, sealed), refused("key_locked"));
  await ring.unlock();
  assert.deepEqual(await ring.open(place, sealed), utf8("secret"));
});

test("forgetting shreds; work begun before does not finish after", async () => {
  const cabinet = new MemoryCabinet();
  const ring = await KeyRing.open(cabinet, { kind: "device" });
  const sealed = await ring.seal(place, utf8("secret"));
  const late = ring.seal(place, utf8("late"));
  await ring.forget();
  await assert.rejects(late, refused("key_locked"));
  assert.deepEqual(await cabinet.names(), []);
  await assert.rejects((await KeyRing.open(cabinet, { kind: "device" })).open(place, sealed), refused("key_missing"));
});

test("rotation changes every record and lets the old key go, broken records apart", async () => {
  const ring = await KeyRing.open(new MemoryCabinet(), { kind: "device" });
  const records: SealedRecord[] = [];
  for (let i = 0; i < 5; i++) {
    const at = { ...place, record: String(i) };
    records.push({ place: at, sealed: await ring.seal(at, utf8(`content ${i}`)) });
  }
  const store = {
    page: async (after: SealedRecord | undefined) => {
      const from = after ? records.findIndex((record) => record.place.record === after.place.record) + 1 : 0;
      return records.slice(from, from + 2);
    },
    replace: async (record: SealedRecord, sealed: Uint8Array) => {
      records[Number(record.place.record)] = { place: record.place, sealed };
      return true;
    },
  };
  assert.equal(await rotate(ring, store, { fresh: true }), 5);
  assert.equal(ring.ids.length, 1);
  for (const [i, record] of records.entries())
    assert.deepEqual(await ring.open(record.place, record.sealed), utf8(`content ${i}`));
  const broken = records[2] as SealedRecord;
  broken.sealed[30] = (broken.sealed[30] ?? 0) ^ 1;
  assert.equal(await rotate(ring, store, { fresh: true }), 4);
  assert.equal(ring.ids.length, 2); // the broken record's key stays: it may be mended from elsewhere
});

/** Dictionaries: kept for their device alone, used by its pushes, missed by nobody when they are gone. */

import assert from "node:assert/strict";
import { after, before, describe, type TestContext, test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { ServerCore } from "../../js-glue/server/core.ts";
import { Dictionaries } from "../../js-glue/server/dictionaries.ts";
import type { SyncServerOptions } from "../../js-glue/server/server.ts";
import { DICTIONARY_SCHEMA } from "../../js-glue/server/store/dictionaries.ts";
import { type DatabaseKind, databaseKinds } from "./databases.ts";
import { DictionaryDevice, OK, UNDECODABLE } from "./dictionary-device.ts";
import { packedDictionary } from "./dictionary-frames.ts";
import { TestClient, TestServer } from "./harness.ts";

const DAY_MS = 86_400_000;
const ANALYTICS = { epoch: 1n, lane: 4 };
const UNKNOWN = [404, "unknown_device"];

/** Starts servers on a database of their own; all end with the test, however it ends. */
async function freshDatabase(t: TestContext, kind: DatabaseKind) {
  const database = await kind.create();
  const servers: TestServer[] = [];
  t.after(async () => {
    for (const one of servers) await one.stop();
    await database.drop();
  });
  return async (options: Partial<SyncServerOptions> = {}): Promise<TestServer> => {
    const one = await TestServer.on(database, options);
    servers.push(one);
    return one;
  };
}

const refusal = async (answer: Response): Promise<readonly [number, unknown]> => [
  answer.status,
  ((await answer.json()) as { code?: string }).code,
];

for (const kind of databaseKinds) {
  describe(`dictionaries, ${kind.name}`, { skip: kind.skip }, () => {
    let server: TestServer;
    before(async () => {
      server = await TestServer.start(kind);
    });
    after(() => server.end());

    const rowsOf = async ({ client }: DictionaryDevice): Promise<number> =>
      (await server.query("SELECT tenant_id FROM device_dictionary WHERE device_id = $1", [client.device])).length;
    const kept = async ({ client, path }: DictionaryDevice): Promise<Buffer> => {
      const answer = await client.json("GET", path);
      assert.equal(answer.status, 200);
      return Buffer.from(await answer.arrayBuffer());
    };

    test("what is put is given back; the next takes its place; the same again changes nothing", async () => {
      const ann = await DictionaryDevice.of(server);
      await ann.register();
      assert.deepEqual(await refusal(await ann.client.json("GET", ann.path)), [404, "not_found"]);
      const [one, two] = [ann.dictionary("one"), ann.dictionary("two")];
      for (const dictionary of [one, one, two, two]) {
        const answer = await ann.put(dictionary);
        assert.equal(answer.status, 200);
        assert.deepEqual(await answer.json(), { dictionary: dictionary.id.toString(16).padStart(16, "0") });
        assert.deepEqual(await kept(ann), Buffer.from(dictionary.packed));
        assert.equal(await rowsOf(ann), 1);
      }
      const { headers } = await ann.client.json("GET", ann.path);
      assert.equal(headers.get("content-type"), "application/octet-stream");
      assert.equal(headers.get("cache-control"), "no-store");
    });

    test("nobody puts or reads one for another's device, or for one that was never here", async () => {
      const ann = await DictionaryDevice.of(server);
      const { packed } = await ann.settle();
      const never = await DictionaryDevice.of(server);
      for (const stranger of [await server.client("acme", "bob"), await server.client("other", "ann"), never.client])
        for (const path of stranger === never.client ? [never.path, "/sync/dictionary/nonsense"] : [ann.path]) {
          assert.deepEqual(await refusal(await stranger.put(path, packed)), UNKNOWN);
          assert.deepEqual(await refusal(await stranger.json("GET", path)), UNKNOWN);
        }
      assert.deepEqual(await kept(ann), Buffer.from(packed));
      assert.equal(await rowsOf(ann), 1);
      assert.equal(await rowsOf(never), 0);
    });

    test("bytes that are no dictionary are refused by name, and nothing is stored", async () => {
      const ann = await DictionaryDevice.of(server);
      await ann.register();
      const { bytes, packed } = ann.dictionary();
      const changed = (at: number, to: number): Uint8Array => packedDictionary(bytes.with(at, to));
      const bad = {
        nothing: new Uint8Array(),
        text: Buffer.from("a dictionary, honestly"),
        "its beginning": packed.subarray(0, -1),
        "more behind it": Buffer.concat([packed, Buffer.from("x")]),
        "another magic": changed(0, 0x45),
        "another version": changed(1, 2),
        "a value without an end": packedDictionary(bytes.subarray(0, -1)),
        "a size it does not have": Buffer.concat([Uint8Array.of(0xff, 0x7f), packed.subarray(1)]),
        "a size nobody has": Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0x0f, 0x10, 0x44),
        "too many bytes": packedDictionary(new Uint8Array(48_001).fill(0x44)),
      };
      for (const [what, body] of Object.entries(bad)) {
        const [status, code] = await refusal(await ann.client.put(ann.path, body));
        assert.ok(status >= 400 && status < 500 && typeof code === "string", `${what}: ${status} ${String(code)}`);
      }
      const large = await ann.client.put(ann.path, new Uint8Array(64_001));
      assert.deepEqual(await refusal(large), [413, "payload_too_large"]);
      const json = await ann.client.put(ann.path, packed, { "content-type": "application/json" });
      assert.deepEqual(await refusal(json), [415, "unsupported_media_type"]);
      assert.equal(await rowsOf(ann), 0);
    });

    test("a push that names it is undecodable before, applied after, and undecodable once it is gone", async (t) => {
      const start = await freshDatabase(t, kind);
      const [one, two] = [await start(), await start()];
      const ann = await DictionaryDevice.of(one);
      const dictionary = ann.dictionary();
      assert.equal(await ann.push(dictionary), UNDECODABLE);
      assert.equal(await ann.push(undefined), OK);
      assert.equal(await ann.push(dictionary), UNDECODABLE);
      await ann.settle(dictionary);
      for (let i = 0; i < 3; i++) assert.equal(await ann.push(dictionary), OK);
      // The other process has not seen the PUT.
      for (let i = 0; i < 3; i++) assert.equal(await ann.push(dictionary, ann.at(two)), OK);
      assert.equal(await ann.push(dictionary), OK);
      await ann.check();

      await one.execute("DELETE FROM device_dictionary");
      const cold = await start();
      assert.equal(await ann.push(dictionary, ann.at(cold)), UNDECODABLE);
      assert.equal(await ann.push(undefined, ann.at(cold)), OK);
      await ann.check();
    });

    test("the newest holds in every process, also for the token of one device", async (t) => {
      const start = await freshDatabase(t, kind);
      const [one, two] = [await start(), await start()];
      const ann = await DictionaryDevice.of(one);
      const { deviceId } = ann.client;
      const registered = await ann.client.json("POST", "/device/register", { deviceId, credential: true });
      const { credential } = (await registered.json()) as { credential: string };
      const [here, there] = [ann.at(one, credential), ann.at(two, credential)];
      const [older, newer] = [ann.dictionary("older"), ann.dictionary("newer")];
      assert.equal((await ann.put(older, here)).status, 200);
      for (let i = 0; i < 2; i++) assert.equal(await ann.push(older, here), OK);
      assert.equal((await ann.put(newer, there)).status, 200);
      for (const client of [here, there, ann.client, here]) assert.equal(await ann.push(newer, client), OK);
      for (const client of [here, there]) assert.equal(await ann.push(older, client), UNDECODABLE);
      assert.equal(await ann.push(undefined, here), OK);
      const sibling = await DictionaryDevice.of(one);
      await sibling.register();
      assert.deepEqual(await refusal(await here.put(sibling.path, older.packed)), UNKNOWN);
      await ann.check();
    });

    test("none is used for another device, tenant or principal", async () => {
      const ann = await DictionaryDevice.of(server);
      const dictionary = await ann.settle();
      assert.equal(await ann.push(dictionary), OK);
      const sibling = await DictionaryDevice.of(server);
      await sibling.register();
      assert.equal(await sibling.push(dictionary), UNDECODABLE);
      // Another tenant may have a device of the same id.
      const twin = new DictionaryDevice(ann.at(server, (await server.client("other", "ann")).key), "ann");
      assert.equal(await twin.push(undefined), OK);
      assert.equal(await twin.push(dictionary), UNDECODABLE);
      const bob = ann.at(server, (await server.client("acme", "bob")).key);
      assert.deepEqual(await refusal(await bob.post("/sync/push", ann.frame(dictionary).bytes)), UNKNOWN);
      // The device changes hands, and its dictionary with it.
      const move = "UPDATE device_sync_state SET principal_id = 'bob' WHERE tenant_id = 'acme' AND device_id = $1";
      await server.sync.store.write((tx) => tx.connection.run(move, [ann.client.device]));
      assert.equal(await ann.push(dictionary, bob), OK);
      assert.deepEqual(await refusal(await ann.client.post("/sync/push", ann.frame(dictionary).bytes)), UNKNOWN);
    });

    test("what is in memory is for its device, tenant and principal alone, and forgotten when asked", async () => {
      const ann = await DictionaryDevice.of(server);
      const { id, packed } = await ann.settle();
      const { device } = ann.client;
      const dropped: Uint8Array[] = [];
      let now = 0;
      const dictionaries = new Dictionaries({
        store: server.sync.store,
        idOf: () => id,
        drop: (bytes) => dropped.push(bytes),
        now: () => now,
      });
      const caller = { tenant: "acme", principal: "ann" };
      assert.equal(await dictionaries.keep(caller, device, packed), id);
      assert.equal(await dictionaries.find(caller, device, id + 1n), undefined);
      await server.execute("DELETE FROM device_dictionary");
      assert.deepEqual(await dictionaries.find(caller, device, id), packed);
      assert.equal(
        await dictionaries.find(
          caller,
          device.map((byte) => ~byte),
          id,
        ),
        undefined,
      );
      assert.equal(await dictionaries.find({ ...caller, tenant: "other" }, device, id), undefined);
      await assert.rejects(dictionaries.find({ ...caller, principal: "bob" }, device, id), { code: "unknown_device" });
      assert.deepEqual(dropped, []);
      dictionaries.forget();
      assert.deepEqual(dropped, [packed]);
      assert.equal(await dictionaries.find(caller, device, id), undefined);

      // What another process has erased meanwhile.
      await dictionaries.keep(caller, device, packed);
      await server.execute("DELETE FROM device_dictionary");
      now += 599_999;
      dictionaries.expire();
      assert.deepEqual(await dictionaries.find(caller, device, id), packed);
      now++;
      assert.equal(await dictionaries.find(caller, device, id), undefined);
      dictionaries.expire();
      assert.equal(dropped.length, 2);
    });

    test("what could not be stored does not stay in the core either", async () => {
      const never = await DictionaryDevice.of(server);
      const { packed, id } = never.dictionary();
      const dropped: Uint8Array[] = [];
      const drop = (bytes: Uint8Array): unknown => dropped.push(bytes);
      const dictionaries = new Dictionaries({ store: server.sync.store, idOf: () => id, drop, now: () => 0 });
      const caller = { tenant: "acme", principal: "ann" };
      await assert.rejects(dictionaries.keep(caller, never.client.device, packed), { code: "unknown_device" });
      assert.deepEqual(dropped, [packed]);
    });

    test("memory holds a thousand of them, those used last", async () => {
      const device = (n: number): Uint8Array => Uint8Array.from({ length: 16 }, (_, i) => (n >> (8 * i)) & 255);
      const [caller, packed] = [{ tenant: "many", principal: "ann" }, new Uint8Array(1)];
      const { store } = server.sync;
      const dictionaries = new Dictionaries({ store, idOf: () => 1n, drop: () => undefined, now: () => 0 });
      await server.sync.store.write(async (tx) => {
        for (let n = 0; n <= 1_000; n++) await tx.bindDevice("many", device(n), "ann", 0);
      });
      for (let n = 0; n < 1_000; n++) await dictionaries.keep(caller, device(n), packed);
      await server.execute("DELETE FROM device_dictionary");
      assert.deepEqual(await dictionaries.find(caller, device(0), 1n), packed);
      await dictionaries.keep(caller, device(1_000), packed);
      assert.deepEqual(await dictionaries.find(caller, device(0), 1n), packed);
      assert.equal(await dictionaries.find(caller, device(1), 1n), undefined);
    });

    test("a request that is opened twice leaves nothing open", async () => {
      const ann = await DictionaryDevice.of(server);
      const { bytes } = ann.frame(await ann.settle());
      // The core has 1,024 sessions.
      for (let i = 0; i < 1_100; i += 50)
        for (const { status } of await Promise.all(
          Array.from({ length: 50 }, () => ann.client.post("/sync/push", bytes)),
        ))
          assert.equal(status, 200);
    });

    test("analytics in a block are readable without it", async () => {
      const ann = await DictionaryDevice.of(server, "ann", "acme", ANALYTICS);
      const dictionary = await ann.settle();
      for (let i = 0; i < 3; i++) assert.equal(await ann.push(dictionary), OK);
      await server.execute("DELETE FROM device_dictionary");
      const where = "WHERE device_id = $1";
      const blocks = await server.query(`SELECT body FROM offline_analytics_buffer ${where}`, [ann.client.device]);
      assert.equal(blocks.length, 3);
      await ann.check();
    });

    test("it is exported, and goes with its person; a revoked device has none either", async () => {
      const ann = await DictionaryDevice.of(server, "leaving");
      const dictionary = await ann.settle();
      const lost = new DictionaryDevice(await server.client("acme", "leaving"), "leaving");
      await lost.settle();
      assert.equal((await lost.client.json("DELETE", `/device/${lost.client.deviceId}`)).status, 204);
      assert.equal(await rowsOf(lost), 0);
      assert.deepEqual(await refusal(await lost.put(dictionary)), [403, "device_revoked"]);

      const exported = await (await ann.client.json("GET", "/privacy/export")).text();
      const line = exported.split("\n").find((one) => one.includes('"table":"device_dictionary"'));
      assert.ok(line?.includes(ann.client.deviceId.replaceAll("-", "")));
      const erase = await ann.client.json("POST", "/privacy/erase", { confirm: "erase" });
      assert.equal(erase.status, 202);
      await server.sync.maintenance.tick();
      assert.equal(await rowsOf(ann), 0);
      const late = ann.at(server, (await server.client("acme", "leaving")).key);
      assert.deepEqual(await refusal(await ann.put(dictionary, late)), [410, "erased"]);
      assert.equal(await rowsOf(ann), 0);
    });

    test("maintenance removes it after 400 days", async () => {
      const ann = await DictionaryDevice.of(server);
      await ann.settle();
      const admin = await server.client("acme", "root", ["admin"]);
      const clean = async (): Promise<number> => {
        assert.equal((await admin.json("POST", "/maintenance/cleanup", {})).status, 200);
        return rowsOf(ann);
      };
      const start = server.clock.now;
      server.clock.now = start + 400 * DAY_MS - 1;
      assert.equal(await clean(), 1);
      server.clock.now = start + 400 * DAY_MS;
      assert.equal(await clean(), 0);
      server.clock.now = start;
    });

    test("a row that is damaged counts as gone", async (t) => {
      const start = await freshDatabase(t, kind);
      const one = await start();
      const ann = await DictionaryDevice.of(one);
      const dictionary = await ann.settle();
      await one.execute("UPDATE device_dictionary SET body = device_id");
      const cold = await start();
      assert.equal(await ann.push(dictionary, ann.at(cold)), UNDECODABLE);
      assert.equal(await ann.push(undefined, ann.at(cold)), OK);
    });

    test("a schema without them: refused by name, everything else as before", async (t) => {
      const start = await freshDatabase(t, kind);
      const old = await start({ schema: { upTo: DICTIONARY_SCHEMA - 1 } });
      const ann = await DictionaryDevice.of(old);
      const dictionary = ann.dictionary();
      await ann.register();
      assert.deepEqual(await refusal(await ann.put(dictionary)), [404, "not_found"]);
      assert.deepEqual(await refusal(await ann.client.json("GET", ann.path)), [404, "not_found"]);
      assert.equal(await ann.push(dictionary), UNDECODABLE);
      assert.equal(await ann.push(undefined), OK);
      const lost = await DictionaryDevice.of(old);
      await lost.register();
      assert.equal((await lost.client.json("DELETE", `/device/${lost.client.deviceId}`)).status, 204);
      const fresh = await start();
      assert.equal((await ann.put(dictionary, ann.at(fresh))).status, 200);
      assert.equal(await ann.push(dictionary, ann.at(fresh)), OK);
      assert.equal(await ann.push(dictionary), UNDECODABLE);
      await ann.check();
    });

    test("more devices than the core holds dictionaries, each with its own, in a process that was told of none", async (t) => {
      const start = await freshDatabase(t, kind);
      const [one, two] = [await start(), await start()];
      const devices = await Promise.all(
        Array.from({ length: 70 }, (_, i) => DictionaryDevice.of(one, `principal ${i}`)),
      );
      for (const device of devices) await device.settle();
      for (const process of [one, two, one])
        for (const device of devices) assert.equal(await device.push(device.dictionary(), device.at(process)), OK);
      for (const device of devices.slice(0, 5)) await device.check();
    });
  });
}

test("a core that was made anew knows none, and takes them again", async () => {
  const core = await ServerCore.load();
  const ann = new DictionaryDevice(new TestClient("", "", new Uint8Array(16)), "ann");
  const { id, packed } = ann.dictionary();
  const { bytes } = ann.frame(ann.dictionary());
  const missing = (dictionary?: Uint8Array): bigint => {
    const session = core.open(bytes, dictionary);
    session.close();
    return session.missingDictionary;
  };
  assert.equal(missing(), id);
  assert.equal(missing(packed), 0n);
  assert.equal(core.dictionaryId(packed), id);
  for (let twice = 0; twice < 2; twice++) core.dropDictionary(packed);
  assert.equal(missing(packed), 0n);
  // No memory is that large: the instance ends.
  assert.throws(() => core.openSegment({ length: 2 ** 32 - 16 } as Uint8Array), { code: "internal" });
  assert.throws(() => missing(packed), { code: "internal" });
  for (let turns = 0; turns < 10_000; turns++) {
    await setImmediate();
    try {
      missing();
      break;
    } catch {} // it is not there yet
  }
  assert.equal(missing(packed), 0n);
});

/** Rules of the application over merged documents: the smallest group that breaks one waits for a person, the rest is applied. */

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type { DocumentsCore } from "../../js-glue/core/documents-core.ts";
import { errorInfo } from "../../js-glue/core/error-codes.ts";
import { allOf, groups } from "../../js-glue/server/documents/smallest.ts";
import { databaseKinds } from "./databases.ts";
import { Device, documentsCore } from "./document-device.ts";
import type { Reply } from "./frames.ts";
import { TestServer } from "./harness.ts";

interface Account {
  readonly balance?: number;
  readonly credit?: number;
  readonly from?: number;
  readonly to?: number;
}

const codesOf = (reply: Reply): readonly string[] =>
  reply.streams.flatMap(({ verdicts }) => verdicts.map(({ code }) => String(errorInfo(code)?.code)));

test("single operations are tried first, then pairs, and not for ever", () => {
  assert.deepEqual([...groups(1)], [[0]]);
  assert.deepEqual([...groups(2)], [[0], [1]]);
  assert.deepEqual([...groups(3)], [[0], [1], [2], [0, 1], [0, 2], [1, 2]]);
  assert.equal([...groups(1_000)].length, 64);
  assert.equal([...groups(1_000, 1_000_000)].length, 8);
  assert.deepEqual(allOf(3), [0, 1, 2]);
});

for (const kind of databaseKinds) {
  describe(`rules of documents, ${kind.name}`, { skip: kind.skip }, () => {
    let server: TestServer;
    let core: DocumentsCore;
    before(async () => {
      server = await TestServer.start(kind);
      core = await documentsCore();
      server.sync.collection("account", {
        unique: ["/name", "/mail"],
        validators: {
          "no debt": (value) => ((value as Account).balance ?? 0) + ((value as Account).credit ?? 0) >= 0,
          "in order": (value) => {
            const { from = 0, to = 0 } = value as Account;
            if (from > to) throw new Error("the end is before the beginning");
          },
        },
      });
      server.sync.collection("slow", {
        validators: {
          patient: (value) => {
            for (;;) if ((value as { done?: boolean }).done) return;
          },
        },
      });
      server.sync.collection("sly", {
        validators: {
          changes: (value) => {
            (value as { n: number }).n = 0;
          },
        },
      });
      server.sync.collection("late", { validators: { waits: () => Promise.resolve(true) } });
    });
    after(() => server.end());

    const device = async (principal: string): Promise<Device> =>
      new Device(await server.client("acme", principal), "~", core);
    const records = (from: Device, key: string) =>
      from.conflicts(key).map(({ json, class: name }) => ({
        ...(JSON.parse(json) as { path: string; rule: string; siblings: { value?: unknown }[]; winner?: unknown }),
        class: name,
      }));
    /** What others see, byte for byte: a second device, one that begins late, and the server's own rows. */
    const agree = async (one: Device, key: string): Promise<void> => {
      await one.pull();
      const late = new Device(one.client, "~", core);
      await late.snapshot();
      assert.equal(one.state(key), late.state(key));
      assert.deepEqual(one.conflicts(key), late.conflicts(key));
      const list = (await (await one.get(`/conflicts/${one.client.deviceId}`)).json()) as {
        items: { collection: string; id: string; record: object }[];
      };
      const open = list.items.filter((item) => `${item.collection}/${item.id}` === key);
      const sorted = (all: readonly object[]) => all.map((record) => JSON.stringify(record)).sort();
      assert.deepEqual(
        sorted(open.map(({ record }) => record)),
        sorted(one.conflicts(key).map(({ json }) => JSON.parse(json) as object)),
      );
    };

    test("one operation breaks a rule: it waits by name, and the others are there", async () => {
      const one = await device("r-1");
      one.put("account/1", { balance: 5, note: "a" });
      await one.push();
      await one.pull();
      one.put("account/1", { balance: -1, note: "b" });
      assert.deepEqual(codesOf(await one.push()), []);
      await agree(one, "account/1");
      assert.equal(one.pending("account/1"), 0);
      assert.deepEqual(one.show("account/1"), { balance: 5, note: "b" });
      const [record] = records(one, "account/1");
      assert.deepEqual(
        [record?.path, record?.class, record?.rule, record?.siblings[0]?.value, record?.winner],
        ["/balance", "manual", "R28 no debt", -1, 5],
      );
      // Resolving it is a change like any other.
      const list = (await (await one.get(`/conflicts/${one.client.deviceId}`)).json()) as {
        items: { conflictId: string }[];
      };
      const settle = { space: "~", conflictId: list.items[0]?.conflictId, choice: "local" };
      const refused = await one.client.json("POST", "/conflicts/resolve", settle);
      assert.deepEqual([refused.status, ((await refused.json()) as { code: string }).code], [422, "invalid_document"]);
      const settled = await one.client.json("POST", "/conflicts/resolve", { ...settle, choice: "server" });
      assert.equal(settled.status, 200, await settled.clone().text());
      await agree(one, "account/1");
      assert.deepEqual(one.show("account/1"), { balance: 5, note: "b" });
      assert.deepEqual(one.conflicts("account/1"), []);
    });

    test("two writers are fine alone and not together: the second one's operation waits", async () => {
      const one = await device("r-2");
      const two = await device("r-2");
      one.put("account/1", { balance: 0, credit: 10 });
      await one.push();
      await Promise.all([one.pull(), two.pull()]);
      one.put("account/1", { balance: -10, credit: 10, by: "one" });
      two.put("account/1", { balance: 0, credit: 0, by2: "two" });
      await one.push();
      await two.push();
      await Promise.all([one.pull(), two.pull()]);
      await agree(one, "account/1");
      assert.equal(one.state("account/1"), two.state("account/1"));
      assert.deepEqual(one.show("account/1"), { balance: -10, by: "one", by2: "two", credit: 10 });
      assert.deepEqual(
        records(two, "account/1").map(({ path, rule }) => [path, rule]),
        [["/credit", "R28 no debt"]],
      );
      // Whoever has seen it and writes the place anew has answered.
      two.put("account/1", { balance: -10, by: "one", by2: "two", credit: 11 });
      await two.push();
      await agree(one, "account/1");
      assert.deepEqual(one.conflicts("account/1"), []);
    });

    test("what only breaks together waits together", async () => {
      const one = await device("r-3");
      one.put("account/1", { balance: 3, credit: 3, from: 1, to: 2, a: 0 });
      await one.push();
      await one.pull();
      // Each of the two alone breaks the rule, and so no single one can be left out.
      one.put("account/1", { balance: -9, credit: -9, from: 1, to: 2, a: 1 });
      await one.push();
      await agree(one, "account/1");
      assert.deepEqual(one.show("account/1"), { balance: 3, credit: 3, from: 1, to: 2, a: 1 });
      assert.deepEqual(
        records(one, "account/1").map(({ path }) => path),
        ["/balance", "/credit"],
      );
    });

    test("a new document that breaks a rule is a question, not a document", async () => {
      const one = await device("r-4");
      one.put("account/1", { balance: -1 });
      one.put("account/2", { balance: 1 });
      assert.deepEqual(codesOf(await one.push()), []);
      await agree(one, "account/1");
      assert.equal(one.show("account/1"), undefined);
      assert.deepEqual(
        records(one, "account/1").map(({ path, siblings }) => [path, siblings[0]?.value]),
        [["", { balance: -1 }]],
      );
      assert.deepEqual(one.show("account/2"), { balance: 1 });
    });

    test("a value that must be unique is, within its space; who comes second waits", async () => {
      const one = await device("r-5");
      const two = await device("r-5");
      one.put("account/1", { name: "x", mail: "x@x" });
      one.put("account/2", { name: "y", mail: "y@y" });
      await one.push();
      await two.pull();
      two.put("account/2", { name: "x", mail: "z@z" });
      assert.deepEqual(codesOf(await two.push()), []);
      await two.pull();
      await agree(one, "account/2");
      assert.equal(one.state("account/2"), two.state("account/2"));
      assert.deepEqual(one.show("account/2"), { name: "y", mail: "z@z" });
      assert.deepEqual(
        records(one, "account/2").map(({ path, rule }) => [path, rule]),
        [["/name", "R29 unique /name"]],
      );
      // Another space knows nothing of it.
      const other = await device("r-5b");
      other.put("account/2", { name: "x" });
      await other.push();
      await other.pull();
      assert.deepEqual(other.show("account/2"), { name: "x" });
      // A value that was let go is free.
      one.put("account/1", { name: "new", mail: "x@x" });
      one.put("account/3", { name: "x" });
      await one.push();
      await one.pull();
      assert.deepEqual(one.show("account/3"), { name: "x" });
      one.put("account/1", undefined);
      one.put("account/4", { name: "new" });
      await one.push();
      await one.pull();
      assert.deepEqual(one.show("account/4"), { name: "new" });
    });

    test("a validator that looks too long, changes what it sees, or wants to wait is a no", async () => {
      const one = await device("r-6");
      for (const key of ["slow/1", "sly/1", "late/1"]) {
        one.put(key, { n: 1 });
        assert.deepEqual(codesOf(await one.push()), []);
        await agree(one, key);
        assert.equal(one.show(key), undefined, key);
        assert.equal(one.conflicts(key).length, 1, key);
      }
      one.put("slow/2", { done: true });
      await one.push();
      await one.pull();
      assert.deepEqual(one.show("slow/2"), { done: true });
    });

    test("what waits is not folded away", async () => {
      const one = await device("r-7");
      one.put("account/1", { balance: 5, i: 0 });
      await one.push();
      await one.pull();
      one.put("account/1", { balance: -5, i: 0 });
      await one.push();
      await one.pull();
      for (let i = 1; i < 70; i++) one.put("account/1", { balance: 5, i });
      await one.push();
      for (let i = 0; i < 2; i++) await one.pull();
      assert.deepEqual(one.show("account/1"), { balance: 5, i: 69 });
      assert.equal(one.conflicts("account/1").length, 1);
      server.clock.now += 25 * 3_600_000;
      await server.sync.maintenance.cleanUp("acme", false);
      await agree(one, "account/1");
      assert.equal(one.conflicts("account/1").length, 1);
    });

    test("rules that are none are refused when they are set", () => {
      const validators = { "": () => true };
      assert.throws(() => server.sync.collection("bad", { validators }), { code: "invalid_argument" });
      assert.throws(() => server.sync.collection("bad", { unique: ["name"] }), { code: "invalid_argument" });
    });
  });
}

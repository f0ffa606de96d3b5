/** Documents when things go wrong: restores, races, second tries, members who leave for good. */

import assert from "node:assert/strict";
import { rmSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import type { DocumentsCore } from "../../js-glue/core/documents-core.ts";
import { errorInfo } from "../../js-glue/core/error-codes.ts";
import { databaseKinds } from "./databases.ts";
import { Device, documentsCore, fromBase64 } from "./document-device.ts";
import type { Reply } from "./frames.ts";
import { TestClient, TestServer } from "./harness.ts";

const codesOf = (reply: Reply): readonly string[] =>
  reply.streams.flatMap(({ verdicts }) => verdicts.map(({ code }) => String(errorInfo(code)?.code)));

for (const kind of databaseKinds) {
  describe(`documents in trouble, ${kind.name}`, { skip: kind.skip }, () => {
    let server: TestServer;
    let core: DocumentsCore;
    let lucky = false;
    before(async () => {
      server = await TestServer.start(kind, { connectionsMax: 12, cleanupIntervalMs: 0 });
      core = await documentsCore();
      server.sync.collection("number", {
        validate: (value) => {
          if (!lucky && (value as { n?: number }).n === 13) throw new Error("an unlucky number");
        },
      });
    });
    after(() => server.end());

    const device = async (principal: string, space = "~", on = server): Promise<Device> =>
      new Device(await on.client("acme", principal), space, core);
    const share = async (id: string, owner: Device, members: readonly string[]): Promise<void> => {
      assert.equal((await owner.client.json("POST", "/spaces", { spaceId: id })).status, 201);
      for (const principal of members)
        await owner.client.json("PUT", `/spaces/${id}/members/${principal}`, { role: "writer" });
    };

    test("many writers of two spaces at once: dense numbers, one order, equal bytes", async () => {
      const names = Array.from({ length: 8 }, (_, i) => `w${i}`);
      const ann = await device("w0", "left");
      await share("left", ann, names.slice(1));
      await share("right", new Device(ann.client, "right", core), names.slice(1));
      const writers = await Promise.all(names.map((name) => device(name, "left")));
      const rights = await Promise.all(names.map((name) => device(name, "right")));
      await Promise.all(
        writers.map(async (left, i) => {
          for (let round = 0; round < 5; round++) {
            left.put("race/1", { [`w${i}`]: round, last: i });
            const other = rights[i]!.put("race/1", { [`w${i}`]: round, last: i });
            rights[i]!.outbox.length = 0;
            // Half of them write to the two spaces in the other order.
            if (i % 2 === 0) await left.push([other]);
            else {
              const own = left.outbox.splice(0);
              await left.push([other, ...own]);
            }
          }
        }),
      );
      for (const group of [writers, rights]) {
        for (const replica of group) await replica.pull();
        const states = new Set(group.map((replica) => replica.state("race/1")));
        assert.equal(states.size, 1);
        const shown = group[0]!.show("race/1") as Record<string, number>;
        for (const name of names) assert.equal(shown[name], 4);
        const reader = new Device(group[0]!.client, group[0]!.space, core);
        const { changes } = await reader.page();
        assert.deepEqual(
          changes.map(({ n }) => n),
          Array.from({ length: 40 }, (_, i) => i + 1),
        );
      }
    });

    test("a refused edit that is tried again is taken under numbers of its own", async () => {
      const one = await device("retry");
      one.put("number/1", { n: 1 });
      one.put("number/1", { n: 13 });
      assert.deepEqual(codesOf(await one.push()), ["invalid_document"]);
      await one.pull();
      assert.deepEqual(one.show("number/1"), { n: 1 });
      const letters = (await (await one.client.json("GET", "/dead-letter")).json()) as { items: { id: string }[] };
      lucky = true;
      const again = await one.client.json("POST", `/dead-letter/${letters.items[0]!.id}/retry`, {});
      assert.equal(again.status, 201);
      lucky = false;
      await one.pull();
      const two = await device("retry");
      await two.pull();
      assert.deepEqual(two.show("number/1"), { n: 13 });
      const late = await device("retry");
      await late.snapshot();
      for (const replica of [one, two]) assert.equal(replica.state("number/1"), late.state("number/1"));
    });

    test("an edit in parts is taken with the last one, or waits, or is refused as a whole", async () => {
      const one = await device("parts");
      const inParts = (value: unknown, edit: string) => {
        const event = one.put("number/1", value);
        one.outbox.length = 0;
        return one.parts("number/1", fromBase64(JSON.parse(String(event.json)).delta), 20_000, edit);
      };
      const waiting = async (): Promise<number> => {
        const rows = await server.sync.store.read(({ connection }) =>
          connection.query("SELECT count(*) AS n FROM edit_part WHERE principal_id = 'parts'"),
        );
        return Number(rows[0]?.["n"]);
      };
      const text = Array.from({ length: 9_000 }, (_, i) => `word ${i}`).join(" ");
      const parts = inParts({ n: 1, text }, "a.1");
      assert.ok(parts.length > 3);
      assert.deepEqual(codesOf(await one.push(parts.slice(0, -1))), []);
      assert.equal(await one.pull(), 0);
      assert.equal(await waiting(), parts.length - 1);
      // A restored server hears the first parts twice.
      assert.deepEqual(codesOf(await one.push([...parts.slice(0, 2), parts.at(-1)!])), []);
      assert.equal(await waiting(), 0);
      await one.pull();
      assert.deepEqual([one.show("number/1"), one.pending("number/1")], [{ n: 1, text }, 0]);

      const refused = inParts({ n: 13, text: `${text} and more`.repeat(2) }, "b.7");
      assert.deepEqual(codesOf(await one.push(refused)), ["invalid_document"]);
      await one.pull();
      assert.deepEqual([one.show("number/1"), one.pending("number/1")], [{ n: 1, text }, 0]);
      lucky = true;
      const letters = (await (await one.client.json("GET", "/dead-letter")).json()) as { items: { id: string }[] };
      const again = await one.client.json("POST", `/dead-letter/${letters.items[0]!.id}/retry`, {});
      assert.equal(again.status, 201, await again.clone().text());
      lucky = false;
      await one.pull();
      assert.equal((one.show("number/1") as { n: number }).n, 13);
      assert.equal(await waiting(), 0);

      const [first, , ...rest] = inParts({ n: 3, text: text.toUpperCase() }, "c.9");
      assert.deepEqual(codesOf(await one.push([first!, ...rest])), ["malformed"]);
      const late = await device("parts");
      await late.snapshot();
      assert.equal(one.state("number/1"), late.state("number/1"));
    });

    test("an erased member's own space is gone; what it wrote for others stays, and names nobody", async () => {
      const ann = await device("stays", "both");
      const bob = await device("leaves", "both");
      await share("both", ann, ["leaves"]);
      bob.put("plan/1", { by: "bob" });
      await bob.push();
      const own = new Device(new TestClient(bob.client.url, bob.client.key, bob.client.device), "~", core);
      const secret = own.put("note/1", { secret: true });
      await bob.push([secret]);
      const exported = await (await bob.client.json("GET", "/privacy/export")).text();
      for (const table of ["record", "change", "space", "space_member"])
        assert.ok(exported.includes(`{"table":"${table}"`), table);
      assert.equal((await bob.client.json("POST", "/privacy/erase", { confirm: "erase" })).status, 202);
      await server.sync.maintenance.tick();
      const rows = await server.query("SELECT device_id FROM change WHERE space_id IN ('both', '~leaves')");
      assert.deepEqual(
        rows.map((row) => row["device_id"]),
        [null],
      );
      assert.equal((await server.query("SELECT 1 AS n FROM record WHERE space_id = '~leaves'")).length, 0);
      await ann.pull();
      assert.deepEqual(ann.show("plan/1"), { by: "bob" });
      assert.equal((await bob.push().catch((error: Error) => error.message.slice(0, 3))) as unknown, "401");
    });

    test("after a restore replicas start from a snapshot, and work on the lost history is kept", {
      skip: kind.name === "SQLite" ? undefined : "copies are made by the database's own tools",
    }, async () => {
      const ann = await device("r-ann", "restored");
      const bob = await device("r-bob", "restored");
      await share("restored", ann, ["r-bob"]);
      ann.put("plan/1", { a: 1, b: 1 });
      await ann.push();
      await bob.pull();
      const folder = `${process.env["TMPDIR"] ?? "/tmp"}/oas-documents-${process.pid}`;
      const file = await server.sync.store.backUp(folder, 1);
      // Lost with the restore: a change everybody has seen, and ann's edit on top of it.
      bob.put("plan/1", { a: 2, b: 1 });
      await bob.push();
      await ann.pull();
      const onLost = ann.put("plan/1", { a: 2, b: 3 });
      ann.outbox.length = 0;
      const lost = ann.state("plan/1");

      const url = `sqlite:${file}`;
      const drop = async (): Promise<void> => rmSync(folder, { recursive: true, force: true });
      const copy = await TestServer.on({ url, drop }, { restored: true, cleanupIntervalMs: 0 });
      try {
        const moved = (from: Device): Device =>
          new Device(
            new TestClient(copy.url, from.client.key, crypto.getRandomValues(new Uint8Array(16))),
            from.space,
            core,
          );
        const carol = moved(bob);
        carol.cursor = bob.cursor;
        const stale = await carol.get(`/sync/changes?space=restored&cursor=${bob.cursor}`);
        assert.equal(stale.status, 410);
        await carol.snapshot();
        assert.notEqual(carol.state("plan/1"), lost);
        carol.put("plan/1", { a: 9, b: 9 });
        await carol.push();
        const dave = moved(ann);
        assert.deepEqual(codesOf(await dave.push([onLost])), []);
        await dave.snapshot();
        await carol.pull();
        assert.equal(carol.state("plan/1"), dave.state("plan/1"));
        // Written on a history without it, ann's edit is concurrent to carol's: both are known, and the record says so.
        assert.equal(carol.conflicts("plan/1").length, 1);
        assert.deepEqual((carol.show("plan/1") as { a: number }).a, 9);
      } finally {
        await copy.end();
      }
    });
  });
}

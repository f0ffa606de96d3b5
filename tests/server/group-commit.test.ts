/** Writes in groups: who waits for whom, and who pays for whose failure. */

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { GroupCommit } from "../../js-glue/server/store/group-commit.ts";
import { openStore } from "../../js-glue/server/store/sql-store.ts";
import { databaseKinds } from "./databases.ts";

interface Item {
  readonly key: string;
  readonly weight?: number;
}

/** A database whose statements end when the test says so. */
class Disk {
  readonly groups: string[] = [];
  readonly #open: { readonly end: (written: boolean) => void; readonly fail: (error: Error) => void }[] = [];
  readonly group = new GroupCommit<Item>(
    (items) => {
      this.groups.push(items.map(({ key }) => key).join(" "));
      return new Promise((end, fail) => this.#open.push({ end, fail }));
    },
    { key: ({ key }) => key, weight: ({ weight }) => weight ?? 1 },
  );

  async end(written: boolean | Error): Promise<void> {
    const statement = this.#open.shift();
    assert.ok(statement, "a statement is under way");
    if (written instanceof Error) statement.fail(written);
    else statement.end(written);
    await new Promise(setImmediate);
  }

  commit(key: string, weight?: number): Promise<boolean> {
    return this.group.commit(weight === undefined ? { key } : { key, weight });
  }
}

describe("a group commit", () => {
  test("keeps nobody waiting while there is room, and puts together what waits", async () => {
    const disk = new Disk();
    const all = ["a", "b", "c", "d", "e"].map((key) => disk.commit(key));
    assert.deepEqual(disk.groups, ["a", "b"]);
    await disk.end(true);
    assert.deepEqual(disk.groups, ["a", "b", "c d e"]);
    await disk.end(true);
    await disk.end(true);
    assert.deepEqual(await Promise.all(all), [true, true, true, true, true]);
  });

  test("writes one key after another, and lets others pass", async () => {
    const disk = new Disk();
    const all = ["a", "b", "a", "b", "c", "a"].map((key) => disk.commit(key));
    await disk.end(true);
    assert.deepEqual(disk.groups, ["a", "b", "a c"]);
    await disk.end(true);
    assert.deepEqual(disk.groups, ["a", "b", "a c", "b"]);
    await disk.end(true);
    assert.deepEqual(disk.groups.at(-1), "a");
    await disk.end(true);
    await disk.end(true);
    assert.equal((await Promise.all(all)).length, 6);
  });

  test("one that cannot be written, or breaks the statement, costs the others nothing", async () => {
    const disk = new Disk();
    const first = [disk.commit("x"), disk.commit("y")];
    const all = ["a", "b", "c"].map((key) => disk.commit(key).catch((error: Error) => error.message));
    await disk.end(true);
    assert.equal(disk.groups.at(-1), "a b c");
    await disk.end(true); // y
    await disk.end(new Error("the group"));
    assert.deepEqual(disk.groups.slice(3), ["a", "b", "c"]);
    await disk.end(true);
    await disk.end(false);
    await disk.end(new Error("c alone"));
    assert.deepEqual(await Promise.all(all), [true, false, "c alone"]);
    await Promise.all(first);
  });

  test("a group has a weight; one item may exceed it alone", async () => {
    const disk = new Disk();
    const first = [disk.commit("x"), disk.commit("y")];
    const all = [disk.commit("a", 6_000), disk.commit("b", 5_000), disk.commit("c", 4_000), disk.commit("d", 50_000)];
    await disk.end(true);
    await disk.end(true);
    assert.deepEqual(disk.groups.slice(2), ["a c", "b"]);
    await disk.end(true);
    assert.equal(disk.groups.at(-1), "d");
    await disk.end(true);
    await disk.end(true);
    await Promise.all([...first, ...all]);
  });

  test("says how many wait, and has an end", async () => {
    const disk = new Disk();
    const all = Array.from({ length: 10_002 }, (_, i) => disk.commit(`k${i}`));
    assert.equal(disk.group.waiting, 10_000);
    await assert.rejects(disk.commit("one more"), { code: "server_busy" });
    while (disk.group.waiting > 0) await disk.end(true);
    await disk.end(true);
    await disk.end(true);
    assert.ok((await Promise.all(all)).every(Boolean));
  });
});

for (const kind of databaseKinds.filter(({ name }) => name === "PostgreSQL")) {
  test("pushes that wait count as pressure on the database", { skip: kind.skip }, async () => {
    const database = await kind.create();
    const store = await openStore(database.url, { now: Date.now, onIdleError: () => undefined });
    const none = new Uint8Array();
    const names = ["epoch", "lane", "seq", "hash", "type", "module", "entity", "hlc", "json"] as const;
    const columns = Object.fromEntries(names.map((name) => [name, none])) as Record<(typeof names)[number], Uint8Array>;
    const events = { count: 0, ...columns };
    const pushes = Array.from({ length: 7 }, (_, i) => {
      const device = new Uint8Array(16).fill(i + 1);
      const before = {
        ...{
          device,
          principal: "ann",
          publicKey: null,
          arrivalHead: 0,
          lateHead: 0,
          deferredCount: 0,
          revokedAt: null,
        },
      };
      return store.fastLane?.apply({ tenant: "acme", before, moves: [], events, blocks: [], now: 1 });
    });
    assert.ok(store.pressure().waiting >= 5); // two are in statements, which wait for connections themselves
    assert.deepEqual(await Promise.all(pushes), Array(7).fill(false)); // nobody knows these devices
    assert.equal(store.pressure().waiting, 0);
    await store.close();
    await database.drop();
  });
}

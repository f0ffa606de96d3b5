/** Writes in groups: who waits for whom, and who pays for whose failure. */

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { GroupCommit } from "../../js-glue/server/store/group-commit.ts";

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
});

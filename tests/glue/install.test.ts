// Who this installation is: one id however many tabs ask, and an emptied database is noticed.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { GENESIS_KEY, writeGenesis } from "../../js-glue/browser/genesis.ts";
import { type OutsideCopy, settleInstallation } from "../../js-glue/browser/install.ts";
import { failure } from "../../js-glue/core/errors.ts";
import { MemoryStore } from "../../js-glue/core/memory-store.ts";
import type { Store } from "../../js-glue/core/ports.ts";

class Place implements OutsideCopy {
  kept: Uint8Array | undefined;
  reads = 0;
  /** A place that keeps nothing, as a private window's. */
  sieve = false;
  read(): Promise<Uint8Array | undefined> {
    this.reads++;
    return Promise.resolve(this.kept);
  }
  write(installId: Uint8Array): Promise<void> {
    if (!this.sieve) this.kept = installId.slice();
    return Promise.resolve();
  }
}

const id = (fill: number): Uint8Array => new Uint8Array(16).fill(fill);
const fresh = (fill: number) => () => ({ installId: id(fill), wall: 1 });

async function created(fill: number): Promise<Store> {
  const store = new MemoryStore();
  const puts = [{ key: GENESIS_KEY, value: writeGenesis(id(fill), 1) }];
  await store.commit({ level: "strict", expects: [], deletes: [], puts });
  return store;
}

describe("settleInstallation", () => {
  test("the id of a new database is copied, and from then on the copy is not looked at", async () => {
    const [store, place] = [await created(1), new Place()];
    assert.deepEqual(await settleInstallation(store, place, fresh(9)), { installId: id(1), lost: false });
    assert.deepEqual(place.kept, id(1));
    place.reads = 0;
    assert.deepEqual(await settleInstallation(store, place, fresh(9)), { installId: id(1), lost: false });
    assert.equal(place.reads, 0);
  });

  test("a database that was emptied gets its old id, and the loss is told once", async () => {
    const place = new Place();
    await settleInstallation(await created(1), place, fresh(9));
    const emptied = await created(2);
    assert.deepEqual(await settleInstallation(emptied, place, fresh(9)), { installId: id(1), lost: true });
    assert.deepEqual(await settleInstallation(emptied, place, fresh(9)), { installId: id(1), lost: false });
  });

  test("without a place for the copy it is looked for every time", async () => {
    const [store, place] = [await created(1), new Place()];
    place.sieve = true;
    for (let visit = 0; visit < 2; visit++)
      assert.deepEqual(await settleInstallation(store, place, fresh(9)), { installId: id(1), lost: false });
    place.sieve = false;
    await settleInstallation(store, place, fresh(9));
    assert.deepEqual(place.kept, id(1));
  });

  test("a full disk keeps nobody from starting", async () => {
    const [store, place] = [await created(1), new Place()];
    store.commit = () => Promise.reject(failure("storage_quota", "full"));
    for (let visit = 0; visit < 2; visit++)
      assert.deepEqual(await settleInstallation(store, place, fresh(9)), { installId: id(1), lost: false });
  });

  test("a damaged record is replaced by the copy, or by a new id", async () => {
    const damaged = async (): Promise<Store> => {
      const store = await created(1);
      const puts = [{ key: GENESIS_KEY, value: id(0) }];
      await store.commit({ level: "strict", expects: [], deletes: [], puts });
      return store;
    };
    const place = new Place();
    place.kept = id(1);
    assert.deepEqual(await settleInstallation(await damaged(), place, fresh(9)), { installId: id(1), lost: true });
    const empty = new Place();
    assert.deepEqual(await settleInstallation(await damaged(), empty, fresh(9)), { installId: id(9), lost: false });
    assert.deepEqual(empty.kept, id(9));
  });

  test("tabs that ask at the same time come to one id", async () => {
    for (const store of [await created(1), new MemoryStore()]) {
      const place = new Place();
      const settled = await Promise.all([5, 6, 7].map((fill) => settleInstallation(store, place, fresh(fill))));
      for (const { installId } of settled) assert.deepEqual(installId, settled[0]?.installId);
      assert.deepEqual(place.kept, settled[0]?.installId);
    }
  });
});

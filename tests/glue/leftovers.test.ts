// Edits whose events have left the queue and whose records nobody else removes: found by whoever pulls, and gone with the pull
// that began after they were judged, never before.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { toBase64, utf8 } from "../../js-glue/core/bytes.ts";
import { MemoryStore } from "../../js-glue/core/memory-store.ts";
import type { DeadLetter, ListedEvent } from "../../js-glue/core/pages.ts";
import { Leftovers, type LeftoversOptions } from "../../js-glue/documents/leftovers.ts";
import { Puller, type PullerOptions } from "../../js-glue/documents/puller.ts";
import { Shelf, type StoredEdit } from "../../js-glue/documents/shelf.ts";

const SPACE = "plan";
const name = { space: SPACE, key: "note/1" };
const STRICT = { level: "strict", expects: [], deletes: [] } as const;
const edit = (n: number): StoredEdit => ({ epoch: 7n, n, delta: Uint8Array.of(n, n) });

const eventOf = ({ delta }: StoredEdit, part?: object): ListedEvent => ({
  id: "",
  lane: "normal",
  eventType: "oas:document",
  moduleId: "",
  entity: "plan/note/1",
  eventData: { space: SPACE, collection: "note", id: "1", delta: toBase64(delta), ...(part && { part }) },
  createdAt: 0,
});

async function world(...waiting: readonly StoredEdit[]) {
  const store = new MemoryStore();
  const shelf = new Shelf(store);
  await store.commit({ ...STRICT, puts: waiting.flatMap((one) => shelf.pendingRecords(name, one)) });
  const queue: ListedEvent[] = [];
  const letters: DeadLetter[] = [];
  const leaving = new Set<number>();
  const left: string[] = [];
  const engine = {
    // Two pages, so that the second one counts, too.
    pending: {
      list: ({ after }: { after?: string } = {}) =>
        Promise.resolve(after === undefined ? { items: [], next: "rest" } : { items: queue }),
    },
    deadLetters: { export: () => Promise.resolve(letters) },
  } as unknown as LeftoversOptions["engine"];
  const edits: LeftoversOptions["edits"] = {
    leave: (_, { n }, done) => {
      left.push(`${n}`);
      void done;
    },
    isLeaving: (_, { n }) => leaving.has(n),
  };
  const stale: LeftoversOptions["stale"] = async ({ edit: { n } }, letter) => {
    left.push(`${n} again from ${letter}`);
  };
  const leftovers = new Leftovers({ engine, shelf, edits, stale });
  const judged = async () => (await leftovers.judged(SPACE)).map((one) => one.edit.n);
  return { store, shelf, queue, letters, leaving, left, leftovers, judged };
}

describe("edits that are left over", () => {
  test("only what has left the queue was judged", async () => {
    const { queue, leaving, judged, leftovers } = await world(edit(1), edit(2), edit(3), edit(4));
    queue.push(eventOf(edit(1)), eventOf(edit(9), { edit: "7.2", k: 1, of: 2 }));
    assert.deepEqual(await judged(), [3, 4]);
    leaving.add(3);
    assert.deepEqual(await judged(), [4]);
    assert.deepEqual(await leftovers.judged("elsewhere"), []);
  });

  test("nothing is judged while events lie where the list does not show them", async () => {
    for (const key of ["sd\0deferred", "sj\0journal"]) {
      const { store, judged } = await world(edit(1));
      await store.commit({ ...STRICT, puts: [{ key: utf8(key), value: Uint8Array.of(1) }] });
      assert.deepEqual(await judged(), [], key);
    }
  });

  test("what was refused as too old is made again, whoever made it first", async () => {
    const { leftovers, letters, left } = await world(edit(1), edit(2), edit(3));
    letters.push({ ...eventOf(edit(2)), id: "two", code: "stale_edit" });
    letters.push({ ...eventOf(edit(3)), id: "three", code: "read_only" });
    await leftovers.leave(await leftovers.judged(SPACE));
    assert.deepEqual(left, ["1", "2 again from two", "2", "3"]);
  });

  test("they go with a pull that began after they were judged", async () => {
    const said: string[] = [];
    const { shelf, leftovers } = await world(edit(1));
    const page = new TextEncoder().encode(JSON.stringify({ cursor: "1", more: false, changes: [] }));
    const options = {
      transport: {
        get: async () => {
          said.push("asked");
          return new Response(page);
        },
      },
      shelf,
      replicas: { exclusive: (_: string, work: () => unknown) => work(), catchUp: async () => undefined },
      channel: { post: () => undefined, close: () => undefined },
      device: "d",
      failed: (error: Error) => assert.fail(error),
      leftovers: {
        judged: (space: string) => {
          said.push("judged");
          return leftovers.judged(space);
        },
        leave: async () => void said.push("left"),
      },
    };
    await shelf.pulled(SPACE, undefined, "1", { states: [], settled: [], stood: [] });
    const puller = new Puller(options as unknown as PullerOptions);
    await puller.pull(SPACE);
    assert.deepEqual(said, ["asked", "judged", "asked", "left"]);
    await shelf.forget(name, edit(1));
    said.length = 0;
    await puller.pull(SPACE);
    assert.deepEqual(said, ["asked", "judged"]);
    puller.close();
  });
});

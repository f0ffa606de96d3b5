// Replicas of one device over a real store and the real merge core: what other contexts store, and when, must not be lost here.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, test } from "node:test";
import { DocumentsCore } from "../../js-glue/core/documents-core.ts";
import { MemoryStore } from "../../js-glue/core/memory-store.ts";
import type { KeyRange, StoredRecord, WriteBatch } from "../../js-glue/core/ports.ts";
import type { DocumentMessage } from "../../js-glue/documents/contexts.ts";
import { EditQueue } from "../../js-glue/documents/edit-queue.ts";
import { type Change, type EditAt, Replicas } from "../../js-glue/documents/replicas.ts";
import { Shelf, type StoredEdit } from "../../js-glue/documents/shelf.ts";

const root = process.env["OAS_ROOT"] ?? process.cwd();
const module = await WebAssembly.compile(await readFile(join(root, "dist/documents.wasm")));
const SPACE = "plan";
const name = { space: SPACE, key: "note/1" };
const STRICT = { level: "strict", expects: [], deletes: [] } as const;

class SlowStore extends MemoryStore {
  /** Happens once, after the note's states (`a`) or pending edits (`p`) were read and before the reader is told. */
  between: { readonly letter: "a" | "p"; readonly act: () => Promise<void> } | undefined;
  override async scan(range: KeyRange, limit: number): Promise<readonly StoredRecord[]> {
    const found = await super.scan(range, limit);
    const { between } = this;
    const from = new TextDecoder().decode(range.from);
    if (!between || !from.startsWith(`d${between.letter}${SPACE}\0${name.key}`)) return found;
    this.between = undefined;
    await between.act();
    return found;
  }

  /** Happens once, before anything more is stored. */
  beforeCommit: (() => Promise<void>) | undefined;
  override async commit(batch: WriteBatch): Promise<void> {
    const act = this.beforeCommit;
    this.beforeCommit = undefined;
    await act?.();
    return super.commit(batch);
  }
}

class Context {
  readonly store: SlowStore;
  readonly shelf: Shelf;
  readonly core: DocumentsCore;
  readonly replicas: Replicas;
  constructor(store: SlowStore, core: DocumentsCore, epoch: bigint) {
    this.store = store;
    this.core = core;
    this.shelf = new Shelf(store);
    this.replicas = new Replicas(core, this.shelf, epoch, () => undefined);
  }
  async put(value: unknown, stored = true) {
    const text = JSON.stringify(value);
    const make = (place: Parameters<DocumentsCore["put"]>[2], { core, handle, rules }: EditAt) =>
      core.put(handle, rules, place, text);
    const edit = await this.replicas.edit(name, make);
    assert.ok(edit);
    if (stored) await this.save(edit);
    return edit;
  }
  async save(edit: StoredEdit): Promise<void> {
    await this.store.commit({ ...STRICT, puts: this.shelf.pendingRecords(name, edit) });
    this.replicas.stored(name, edit);
  }
  async value(): Promise<unknown> {
    return JSON.parse((await this.replicas.view(name)).json ?? "null");
  }
  pull(before: string | undefined, cursor: string, changes: readonly Change[]): Promise<void> {
    return this.replicas.exclusive(SPACE, async () => {
      await this.shelf.pulled(SPACE, before, cursor, await this.replicas.accept(SPACE, before, changes));
      this.replicas.standsAt(SPACE, cursor);
    });
  }
}

/** The server's half, and two contexts of one device. */
async function world() {
  const store = new SlowStore();
  const core = await DocumentsCore.create(module);
  let state: Uint8Array = new Uint8Array(0);
  let change = 0;
  const author = new Context(new SlowStore(), await DocumentsCore.create(module), 99n);
  /** An edit of another device, as the change order tells it. */
  const told = async (value: unknown): Promise<Change> => judged((await author.put(value)).delta);
  const judged = (delta: Uint8Array): Change => {
    const stamp = { incarnation: { mintedAt: 1, random: 1n }, change: ++change, receivedAt: 1_000 };
    const verdict = core.judge(state, 0, delta, stamp, change - 1);
    state = verdict.state;
    return { key: name.key, body: verdict.change };
  };
  const context = async (epoch: bigint) => new Context(store, await DocumentsCore.create(module), epoch);
  const digest = () => core.show(state, 0).digest;
  return { told, judged, digest, one: await context(1n), two: await context(2n), store };
}

describe("replicas of one device", () => {
  test("a context that missed what another one stored catches up before it stores more", async () => {
    const { told, digest, one, two } = await world();
    const [a, b, c] = [await told({ a: 1 }), await told({ a: 1, b: 2 }), await told({ a: 1, b: 2, c: 3 })];
    await one.pull(undefined, "1", [a]);
    assert.deepEqual(await two.value(), { a: 1 });
    await one.pull("1", "2", [b]); // and its message to `two` is lost
    await two.pull("2", "3", [c]);
    assert.deepEqual(await two.value(), { a: 1, b: 2, c: 3 });
    assert.equal((await two.replicas.peek(name)).digest, digest());
    const fresh = new Context(two.store, await DocumentsCore.create(module), 3n);
    assert.equal((await fresh.replicas.peek(name)).digest, digest());
  });

  test("a document that is read while another context stores is not left behind", async () => {
    const { told, digest, one, two, store } = await world();
    const [a, b] = [await told({ a: 1 }), await told({ a: 2 })];
    await one.pull(undefined, "1", [a]);
    await two.replicas.exclusive(SPACE, () => two.replicas.refresh(SPACE));
    let followed: Promise<void> | undefined;
    const act = async (): Promise<void> => {
      await one.pull("1", "2", [b]);
      followed = two.replicas.follow(SPACE, "1", "2", [b]);
      await new Promise((resolve) => setTimeout(resolve, 5));
    };
    store.between = { letter: "a", act };
    await two.value();
    await followed;
    assert.deepEqual(await two.value(), { a: 2 });
    assert.equal((await two.replicas.peek(name)).digest, digest());
  });

  test("reading anew keeps edits on their way to storage, and what the next edit is one of", async () => {
    const { told, one, two } = await world();
    const [a, b] = [await told({ a: 1 }), await told({ a: 1, b: 2 })];
    await one.pull(undefined, "1", [a]);
    assert.deepEqual(await two.value(), { a: 1 });
    const edit = await two.put({ a: 1, mine: true }, false);
    await one.pull("1", "2", [b]);
    await two.replicas.exclusive(SPACE, () => two.replicas.refresh(SPACE));
    assert.deepEqual((await two.replicas.peek(name)).json, '{"a":1,"b":2,"mine":true}');
    // Whoever still looks at the older value does not take `b` back.
    await two.put({ a: 5, mine: true });
    await two.save(edit);
    assert.deepEqual(await two.value(), { a: 5, b: 2, mine: true });
  });

  test("an edit that is stored while the document is read anew is there afterwards", async () => {
    const { told, one, two, store } = await world();
    await one.pull(undefined, "1", [await told({ a: 1 })]);
    await two.value();
    const edit = await two.put({ a: 1, mine: true }, false);
    store.between = { letter: "p", act: () => two.save(edit) };
    await two.replicas.exclusive(SPACE, () => two.replicas.refresh(SPACE));
    assert.deepEqual(await two.value(), { a: 1, mine: true });
  });

  test("a context catches up with one that died before it said what it had stored", async () => {
    const { told, one, two } = await world();
    await one.pull(undefined, "1", [await told({ a: 1 })]);
    assert.deepEqual(await two.value(), { a: 1 });
    await one.pull("1", "2", [await told({ a: 2 })]);
    await two.replicas.exclusive(SPACE, () => two.replicas.catchUp(SPACE, "2"));
    assert.deepEqual(await two.value(), { a: 2 });
  });

  test("an edit that was taken stays in sight where nobody told of the change, only that it waits no longer", async () => {
    const { judged, one, two } = await world();
    assert.equal(await two.value(), null);
    const edit = await two.put({ mine: 1 });
    await one.pull(undefined, "1", [judged(edit.delta)]); // and its message to `two` is lost
    await two.replicas.dropped(name, edit);
    assert.deepEqual(await two.value(), { mine: 1 });
  });

  test("an edit that is dropped while its document is read is not there afterwards", async () => {
    const { told, one, two, store } = await world();
    await one.pull(undefined, "1", [await told({ a: 1 })]);
    await one.value();
    const edit = await one.put({ a: 1, refused: 1 });
    const act = async (): Promise<void> => {
      await one.shelf.forget(name, edit);
      two.replicas.drop(name, edit);
    };
    store.between = { letter: "p", act };
    await two.value();
    assert.deepEqual(await two.value(), { a: 1 });
  });

  test("an edit that another context reads before its record is gone is not there afterwards", async () => {
    const { one, two, store } = await world();
    const edit = await one.put({ a: 1 });
    assert.deepEqual(await two.value(), { a: 1 });
    let heard: Promise<void> | undefined;
    const queue = new EditQueue({
      engine: undefined as never, // an edit leaves without it
      replicas: one.replicas,
      shelf: one.shelf,
      channel: {
        post(message: DocumentMessage) {
          if (message.say === "dropped") heard = two.replicas.dropped(name, message.edit);
        },
        close: () => undefined,
      },
      failed: (error) => assert.fail(String(error)),
      stale: () => Promise.resolve(),
      pull: () => Promise.resolve(),
    });
    store.beforeCommit = () => two.replicas.exclusive(SPACE, () => two.replicas.refresh(SPACE));
    queue.leave(name, edit, Promise.resolve());
    while (queue.isLeaving(name, edit)) await new Promise((resolve) => setTimeout(resolve, 1));
    await heard;
    assert.equal(await two.value(), null);
  });

  test("a snapshot takes away what the server does not know", async () => {
    const { told, one, two } = await world();
    await one.pull(undefined, "1", [await told({ a: 1 })]);
    assert.deepEqual(await two.value(), { a: 1 });
    const other = {
      name: { space: SPACE, key: "note/2" },
      state: await one.shelf.load(name).then((it) => it.accepted),
    };
    await one.shelf.pulled(SPACE, "1", "restored", { states: [other], settled: [], stood: [], isWhole: true });
    await two.replicas.exclusive(SPACE, () => two.replicas.refresh(SPACE));
    assert.equal(await two.value(), null);
    assert.deepEqual(await two.shelf.names(SPACE, "note"), ["note/2"]);
  });

  test("an edit in a dead letter leaves its document", async () => {
    const { told, one, two } = await world();
    await one.pull(undefined, "1", [await told({ a: 1 })]);
    await one.value();
    const kept = await one.put({ a: 1, kept: 1 });
    const refused = await one.put({ a: 1, kept: 1, refused: 1 });
    assert.notDeepEqual(kept.delta, refused.delta);
    for (const waiting of await one.shelf.waitingAmong([{ name, edit: undefined, delta: refused.delta }]))
      await one.shelf.forget(waiting.name, waiting.edit);
    assert.deepEqual(await two.value(), { a: 1, kept: 1 });
    assert.equal(await one.shelf.hasPending(SPACE), true);
  });

  test("an edit is found again whatever its number is, and one of another document is not", async () => {
    const { store } = await world();
    for (const epoch of [1n, 0xff00_0000_0000_0001n, 0xffff_ffff_ffff_ffffn]) {
      const context = new Context(store, await DocumentsCore.create(module), epoch);
      const edit = await context.put({ [epoch.toString()]: 1 });
      const { pending } = await context.shelf.load(name);
      assert.ok(pending.some(({ epoch: found, n }) => found === edit.epoch && n === edit.n));
    }
    assert.equal((await new Shelf(store).load({ space: SPACE, key: "note/10" })).pending.length, 0);
  });

  test("an edit larger than a record is stored in chunks, read whole, and leaves whole", async () => {
    const { told, one, two, store } = await world();
    await one.pull(undefined, "1", [await told({ a: 1 })]);
    await one.value();
    const text = "large ".repeat(25_000);
    const large = await one.put({ a: 1, text });
    await one.put({ a: 2, text });
    const stored = await store.scan({ from: Uint8Array.of(0x64, 0x70), to: Uint8Array.of(0x64, 0x71) }, 100);
    assert.ok(stored.length > 3 && stored.every(({ value }) => value.length <= 48_000));
    assert.deepEqual(await two.value(), { a: 2, text });
    // Its dead letter holds the last part only, and names it.
    for (const waiting of await one.shelf.waitingAmong([{ name, edit: large, delta: Uint8Array.of(1) }]))
      await one.shelf.forget(waiting.name, waiting.edit);
    const fresh = new Context(store, await DocumentsCore.create(module), 3n);
    assert.deepEqual(await fresh.value(), { a: 2 });
  });

  test("a refusal is not the end of the core", async () => {
    const core = await DocumentsCore.create(module);
    assert.equal(core.dead, false);
    assert.throws(() => core.open(Uint8Array.of(9, 9, 9), []), { code: /version_not_supported|malformed|truncated/ });
    assert.equal(core.dead, false);
    assert.throws(() => core.close(7), { code: "invalid_argument" });
    assert.equal(core.dead, false);
  });
});

// Queues in a page behind one set of names: open, add (one event, resolved when stored), fill (many, by the fastest way there
// is), drain (send all in pages, then delete), close. Each is used as its documentation says.
//
// Durability: Chromium's default is relaxed, and so are the peers' defaults. Where a peer can be made strict there is a second
// contender: Dexie and RxDB by Dexie's option, idb-keyval by a store of one's own. Workbox cannot be: it opens its
// transactions itself.

import { createStore, delMany, entries, getMany, keys, promisifyRequest, set, setMany } from "idb-keyval";
import { Queue } from "workbox-background-sync/Queue.js";

export const page_size = 1_000;

/** The sink takes an array of records with an id each, and answers when they are on its disk. */
async function send(records) {
  const response = await fetch("/sink", { method: "POST", body: JSON.stringify(records) });
  if (!response.ok) throw new Error(`the sink answered ${response.status}`);
}

const requested = (request) =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
const ended = (tx) =>
  new Promise((resolve, reject) => {
    tx.oncomplete = resolve;
    tx.onabort = () => reject(tx.error);
  });

/** What IndexedDB itself can do: one record an event, or one record for all that come together. */
export class Raw {
  name = "raw IndexedDB, strict";
  #db;
  async open(name) {
    const opening = indexedDB.open(name, 1);
    opening.onupgradeneeded = () => opening.result.createObjectStore("events", { autoIncrement: true });
    this.#db = await requested(opening);
    return this;
  }
  #tx() {
    return this.#db.transaction("events", "readwrite", { durability: "strict" });
  }
  add(event) {
    const tx = this.#tx();
    tx.objectStore("events").add(event);
    return ended(tx);
  }
  /** All events as one packed record in one transaction: nothing that keeps JSON can be faster. */
  packed(events) {
    const tx = this.#tx();
    tx.objectStore("events").add(new TextEncoder().encode(events.map((event) => JSON.stringify(event)).join("\n")));
    return ended(tx);
  }
  close() {
    this.#db.close();
  }
}

export class IdbKeyval {
  #strict;
  #store;
  #next = 0;
  constructor(strict = false) {
    this.#strict = strict;
    this.name = strict ? "idb-keyval, strict" : "idb-keyval";
  }
  async open(name) {
    if (this.#strict) {
      const opening = indexedDB.open(name, 1);
      opening.onupgradeneeded = () => opening.result.createObjectStore("events");
      const db = await promisifyRequest(opening);
      this.#store = async (mode, work) =>
        work(db.transaction("events", mode, { durability: "strict" }).objectStore("events"));
    } else {
      this.#store = createStore(name, "events");
    }
    return this;
  }
  add(event) {
    return set(this.#next++, event, this.#store);
  }
  fill(events) {
    return setMany(
      events.map((event) => [this.#next++, event]),
      this.#store,
    );
  }
  async drain() {
    let sent = 0;
    // It has no pages: all keys are read once, the values page by page.
    const all = await keys(this.#store);
    for (let from = 0; from < all.length; from += page_size) {
      const some = all.slice(from, from + page_size);
      const values = await getMany(some, this.#store);
      await send(values.map((event, i) => ({ id: some[i], event })));
      await delMany(some, this.#store);
      sent += some.length;
    }
    return sent;
  }
  async left() {
    return (await entries(this.#store)).length;
  }
  close() {
    // Its connection goes with the page.
  }
}

export class DexieQueue {
  #options;
  #db;
  constructor(strict = false) {
    this.#options = strict ? { chromeTransactionDurability: "strict" } : {};
    this.name = strict ? "Dexie, strict" : "Dexie";
  }
  async open(name) {
    // Not at the top: RxDB brings a Dexie of its own, and two versions refuse to live in one page.
    const { default: Dexie } = await import("dexie");
    this.#db = new Dexie(name, this.#options);
    this.#db.version(1).stores({ events: "++id" });
    await this.#db.open();
    return this;
  }
  add(event) {
    return this.#db.events.add({ event });
  }
  fill(events) {
    return this.#db.events.bulkAdd(events.map((event) => ({ event })));
  }
  first() {
    return this.#db.events.orderBy(":id").limit(page_size).toArray();
  }
  async drain() {
    for (let sent = 0; ; ) {
      const some = await this.first();
      if (some.length === 0) return sent;
      await send(some);
      await this.#db.events.bulkDelete(some.map(({ id }) => id));
      sent += some.length;
    }
  }
  left() {
    return this.#db.events.count();
  }
  close() {
    this.#db.close();
  }
}

export class RxdbQueue {
  #options;
  #db;
  #next = 0;
  constructor(strict = false) {
    this.#options = strict ? { chromeTransactionDurability: "strict" } : {};
    this.name = strict ? "RxDB (Dexie storage), strict" : "RxDB (Dexie storage)";
  }
  async open(name) {
    const { createRxDatabase } = await import("rxdb/plugins/core");
    const { getRxStorageDexie } = await import("rxdb/plugins/storage-dexie");
    this.#db = await createRxDatabase({ name, storage: getRxStorageDexie(this.#options), multiInstance: false });
    const schema = {
      version: 0,
      primaryKey: "id",
      type: "object",
      properties: { id: { type: "string", maxLength: 16 }, event: { type: "object" } },
      required: ["id", "event"],
    };
    await this.#db.addCollections({ events: { schema } });
    return this;
  }
  #row(event) {
    return { id: String(this.#next++).padStart(12, "0"), event };
  }
  add(event) {
    return this.#db.events.insert(this.#row(event));
  }
  async fill(events) {
    const { error } = await this.#db.events.bulkInsert(events.map((event) => this.#row(event)));
    if (error.length > 0) throw new Error(`RxDB refused ${error.length} rows`);
  }
  async drain() {
    for (let sent = 0; ; ) {
      const some = await this.#db.events.find({ sort: [{ id: "asc" }], limit: page_size }).exec();
      if (some.length === 0) return sent;
      await send(some.map((row) => row.toJSON()));
      await this.#db.events.bulkRemove(some.map(({ primary }) => primary));
      sent += some.length;
    }
  }
  left() {
    return this.#db.events.count().exec();
  }
  close() {
    return this.#db.close();
  }
}

export class WorkboxQueue {
  name = "Workbox Queue";
  #queue;
  #next = 0;
  async open(name) {
    // It belongs into a Service Worker; without a registration it is spared one `sync.register` for every event.
    globalThis.registration ??= {};
    this.#queue = new Queue(name, { onSync: () => undefined });
    return this;
  }
  add(event) {
    const body = JSON.stringify([{ id: this.#next++, event }]);
    return this.#queue.pushRequest({ request: new Request("/sink", { method: "POST", body }) });
  }
  async drain() {
    const before = await this.#queue.size();
    await this.#queue.replayRequests(); // one request an event: it has no other way
    return before;
  }
  left() {
    return this.#queue.size();
  }
  close() {
    // Its connection goes with the page.
  }
}

export class Ours {
  name = "offline-ai-sync, strict";
  #engine;
  #url = "/api/offline-ai";
  async open(name, { key } = {}) {
    const { open } = await import("/lib/index.js");
    this.#engine = open({ name, url: this.#url, auth: () => key, durability: "strict" });
    await this.#engine.registerDevice(); // the core has loaded
    return this;
  }
  add(event) {
    return this.#engine.queueEvent({ eventType: "visit", moduleId: "web", eventData: event });
  }
  async fill(events) {
    await Promise.all(events.map((event) => this.add(event)));
  }
  async drain() {
    const before = this.left();
    const { drained } = await this.#engine.drain();
    if (!drained) throw new Error(`not drained: ${JSON.stringify(this.#engine.status.get())}`);
    return before;
  }
  left() {
    return this.#engine.status.get().pending;
  }
  close() {
    return this.#engine.close();
  }
}

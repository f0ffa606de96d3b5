/** Content for the time without a network: packed, sealed, within a budget, and given up before any unsent work is. */

import { asFailure, failure, type OfflineSyncError } from "../core/errors.ts";
import type { ContentCore } from "../core/load.ts";
import { type KeyMode, KeyRing } from "../crypto/key-ring.ts";
import type { Place } from "../crypto/seal.ts";
import { HotItems } from "./hot-items.ts";
import { CachePolicy } from "./policy.ts";
import { CHUNK_BYTES_MAX, type IndexRecord, Shelf } from "./shelf.ts";
import { type Fallback, fromFallback, toBytes, toValue, ttlMs } from "./value.ts";

/** What is to be kept, and how dear it is. */
export interface ContentOptions {
  readonly contentType: string;
  readonly contentId: string;
  /** JSON, text or bytes, at most 8 MB. */
  readonly contentData: unknown;
  /** 0 to 10, default 5; each step is worth twice as many requests. */
  readonly priority?: number | undefined;
  /** How long it is fresh: milliseconds or text such as `7d`. Default: for ever. */
  readonly ttl?: number | string | undefined;
  readonly etag?: string | undefined;
  readonly pinned?: boolean | undefined;
}

/** How an item is read, and how it is kept when the fallback has to give it. */
export interface ReadOptions {
  readonly ttl?: number | string | undefined;
  readonly priority?: number | undefined;
  /** An expired item is answered at once and renewed behind it. Default true. */
  readonly staleWhileRevalidate?: boolean | undefined;
}

/** One item as the index has it; its content is not read. */
export interface CachedItem {
  readonly contentType: string;
  readonly contentId: string;
  readonly bytes: number;
  readonly stored: number;
  readonly priority: number;
  readonly pinned: boolean;
  readonly cachedAt: number;
  readonly expiresAt: number | undefined;
  readonly etag: string | undefined;
  readonly sealed: boolean;
  /** Reads that were answered with it since this context opened the cache. */
  readonly hits: number;
}

/** Since this context opened the cache. */
export interface CacheFigures {
  readonly budgetBytes: number;
  readonly hits: number;
  /** Reads that found nothing fresh. */
  readonly misses: number;
}

/** What `openCache` wants to know; `name` is enough. */
export interface CacheOptions {
  readonly name: string;
  readonly subject?: string | undefined;
  /** Bytes on disk; the least valuable items go when they do not suffice. Default 50 MB. */
  readonly budgetBytes?: number | undefined;
  /** How items are sealed. Default: keys of the device. `none` = as they are. */
  readonly keys?: KeyMode | "none" | undefined;
  readonly tenant?: string | undefined;
  readonly now?: (() => number) | undefined;
  /** Told of items that could not be opened; they are dropped, never shown. */
  readonly quarantined?: ((contentType: string, contentId: string, error: OfflineSyncError) => void) | undefined;
}

export const BUDGET_BYTES_DEFAULT = 50_000_000;
const CONTENT_BYTES_MAX = 8_000_000;
/** Beyond it the policy's sketch counts no further. */
const REHEARSED_MAX = 100;
const ASKED_KEYS_MAX = 10_000;

export const cacheDatabase = (name: string, subject = ""): string => `oas-cache:${name}${subject && `:${subject}`}`;
const keyOf = (contentType: string, contentId: string): string => {
  for (const [name, text] of Object.entries({ contentType, contentId }))
    if (typeof text !== "string" || text === "" || text.length > 256 || text.includes("\0"))
      throw failure("invalid_argument", `${name} is text of 1 to 256 characters`, { path: name });
  return `${contentType}\0${contentId}`;
};

/** Content for the time without a network: packed, sealed, evicted by use. Made by `openCache`. */
export class ContentCache {
  readonly #options: CacheOptions;
  readonly #shelf: Shelf;
  readonly #policy: CachePolicy;
  readonly #hot = new HotItems();
  readonly #asking = new Map<string, Promise<unknown>>();
  /** Writes of one item keep their order. */
  readonly #writing = new Map<string, Promise<unknown>>();
  /** The version of each item as far as this context has seen it; index and body are written together, so they agree. */
  readonly #versions = new Map<string, number>();
  /** What was asked for, by key; of the newest keys alone, since anything may be asked for. */
  readonly #asked = new Map<string, { times: number; hits: number }>();
  #hits = 0;
  #misses = 0;
  readonly #now: () => number;
  readonly keys: KeyRing | undefined;
  #budget: number;
  #another: (() => Promise<ContentCore>) | undefined;

  private constructor(options: CacheOptions, shelf: Shelf, policy: CachePolicy, keys: KeyRing | undefined) {
    this.#options = options;
    this.#shelf = shelf;
    this.#policy = policy;
    this.keys = keys;
    this.#now = options.now ?? Date.now;
    this.#budget = options.budgetBytes ?? BUDGET_BYTES_DEFAULT;
  }

  /** `another` makes a second core, which a rehearsal may spoil. */
  static async open(
    options: CacheOptions,
    core: Promise<ContentCore>,
    another?: () => Promise<ContentCore>,
  ): Promise<ContentCache> {
    const shelf = new Shelf(cacheDatabase(options.name, options.subject));
    const { keys: mode = { kind: "device" } } = options;
    const ring = mode === "none" ? undefined : KeyRing.open(shelf.cabinet, mode);
    const listed = shelf.recover().then(() => shelf.list());
    const [policy, keys, items] = await Promise.all([core.then((c) => new CachePolicy(c)), ring, listed]);
    const cache = new ContentCache(options, shelf, policy, keys);
    policy.setBudget(cache.#budget);
    cache.#another = another;
    for (const [key, { version }] of items) cache.#versions.set(key, version);
    const victims = items.flatMap(([key, item]) => policy.put(key, item.stored, item.priority, item.pinned));
    if (victims.length > 0) await shelf.remove(victims);
    return cache;
  }

  /** Resolves when the item is stored. Rejects with `storage_quota` when there is no room even without other items. */
  async cacheContent(options: ContentOptions): Promise<void> {
    const { contentType, contentId, priority = 5, pinned = false, etag } = options;
    const key = keyOf(contentType, contentId);
    if (!Number.isInteger(priority) || priority < 0 || priority > 10)
      throw failure("invalid_argument", "priority is a whole number from 0 to 10", { path: "priority" });
    const ttl = ttlMs(options.ttl);
    const { kind, bytes } = toBytes(options.contentData);
    if (bytes.length > CONTENT_BYTES_MAX) throw failure("invalid_argument", "an item has at most 8 MB");
    const cachedAt = this.#now();
    const version = (this.#versions.get(key) ?? 0) + 1;
    this.#versions.set(key, version);
    const write = async (): Promise<void> => {
      const packed = this.#policy.pack(bytes);
      const body = this.keys ? await this.keys.seal(this.#place(key, version), packed) : packed;
      const index: IndexRecord = {
        ...{ contentType, contentId, kind, priority, pinned, etag, cachedAt, version },
        ...{ bytes: bytes.length, stored: body.length, sealed: this.keys !== undefined },
        chunks: Math.ceil(body.length / CHUNK_BYTES_MAX),
        expiresAt: ttl === undefined ? undefined : cachedAt + ttl,
      };
      await this.#store(key, index, body);
      this.#hot.put(key, { index, value: toValue(kind, bytes) });
    };
    const before = this.#writing.get(key);
    const written = before ? before.then(write, write) : write();
    this.#writing.set(key, written);
    try {
      await written;
    } finally {
      if (this.#writing.get(key) === written) this.#writing.delete(key);
    }
  }

  /**
   * The item, or what `fallback` gives, which is then cached; several askers of one item share one call. An expired item is
   * answered when the fallback fails. Objects are frozen: every reader gets the same one.
   */
  async cachedContent(
    contentType: string,
    contentId: string,
    fallback?: Fallback,
    options: ReadOptions = {},
  ): Promise<unknown> {
    const key = keyOf(contentType, contentId);
    this.#policy.touch(key);
    const found = this.#hot.get(key) ?? (await this.#read(key));
    const fresh = found && (found.index.expiresAt === undefined || found.index.expiresAt > this.#now());
    this.#count(key, fresh === true);
    if (found && (fresh || !fallback)) return fresh ? found.value : undefined;
    if (!fallback) return undefined;
    const renewed = this.#ask(key, contentType, contentId, fallback, options, found?.index);
    if (!found) return renewed;
    const stale = renewed.catch(() => found.value);
    return options.staleWhileRevalidate === false ? stale : found.value;
  }

  /** Every item, without its content. */
  async list(): Promise<readonly CachedItem[]> {
    return (await this.#shelf.list()).map(([key, item]) => this.#item(key, item));
  }

  #item(key: string, item: IndexRecord): CachedItem {
    return {
      contentType: item.contentType,
      contentId: item.contentId,
      ...{ bytes: item.bytes, stored: item.stored, priority: item.priority, pinned: item.pinned },
      ...{ cachedAt: item.cachedAt, expiresAt: item.expiresAt, etag: item.etag },
      ...{ sealed: item.sealed, hits: this.#asked.get(key)?.hits ?? 0 },
    };
  }

  #count(key: string, hit: boolean): void {
    const { times, hits } = this.#asked.get(key) ?? { times: 0, hits: 0 };
    this.#asked.delete(key);
    this.#asked.set(key, { times: times + 1, hits: hits + (hit ? 1 : 0) });
    if (hit) this.#hits++;
    else this.#misses++;
    const [oldest] = this.#asked.keys();
    if (this.#asked.size > ASKED_KEYS_MAX && oldest !== undefined) this.#asked.delete(oldest);
  }

  get figures(): CacheFigures {
    return { budgetBytes: this.#budget, hits: this.#hits, misses: this.#misses };
  }

  /**
   * What `shrinkTo` would give up now. A rehearsal: the same policy decides, in a core of its own that knows the requests of this
   * context. Nothing is touched.
   */
  async victimsAt(bytes: number): Promise<readonly CachedItem[]> {
    if (!this.#another) throw failure("invalid_argument", "this cache was opened without a core to rehearse in");
    const [items, policy] = await Promise.all([
      this.#shelf.list(),
      this.#another().then((core) => new CachePolicy(core)),
    ]);
    try {
      policy.setBudget(Number.MAX_SAFE_INTEGER);
      for (const [key, { stored, priority, pinned }] of items) {
        // As it came in: asked for once before it was here, then again.
        const times = Math.min(this.#asked.get(key)?.times ?? 0, REHEARSED_MAX);
        if (times > 0) policy.touch(key);
        policy.put(key, stored, priority, pinned);
        for (let again = 1; again < times; again++) policy.touch(key);
      }
      const victims = new Set(policy.setBudget(bytes));
      return items.filter(([key]) => victims.has(key)).map(([key, item]) => this.#item(key, item));
    } finally {
      policy.close();
    }
  }

  /** Removes one item; nothing happens when it is not there. */
  async delete(contentType: string, contentId: string): Promise<void> {
    const key = keyOf(contentType, contentId);
    this.#hot.delete(key);
    this.#policy.erase(key);
    await this.#shelf.remove([key]);
  }

  /** A pinned item is never given up for room. Resolves false when there is no such item. */
  async pin(contentType: string, contentId: string, pinned = true): Promise<boolean> {
    const key = keyOf(contentType, contentId);
    const index = await this.#shelf.change(key, { pinned });
    if (!index) return false;
    this.#policy.put(key, index.stored, index.priority, pinned);
    this.#hot.delete(key);
    return true;
  }

  /** Gives up items until at most so many bytes are left: the first step when the device runs out of room. */
  async shrinkTo(bytes: number): Promise<void> {
    const victims = this.#policy.setBudget(bytes);
    for (const key of victims) this.#hot.delete(key);
    if (victims.length > 0) await this.#shelf.remove(victims);
    this.#policy.setBudget(this.#budget);
  }

  /** Everything, keys included. Bytes may stay on the disk until the browser compacts them: docs/security.md. */
  async erase(): Promise<void> {
    await this.keys?.forget();
    this.#hot.clear();
    await this.shrinkTo(0);
    await this.#shelf.clear();
    // Device keys are made anew at once; others wait for an unlock.
    if ((this.#options.keys ?? { kind: "device" }) !== "none") await this.keys?.unlock().catch(() => undefined);
  }

  async close(): Promise<void> {
    await Promise.allSettled([...this.#writing.values()]);
    this.#policy.close();
    await this.#shelf.close();
  }

  #place(record: string, version: number): Place {
    return { tenant: this.#options.tenant ?? "", device: this.#options.name, store: "cache", record, version };
  }

  async #store(key: string, index: IndexRecord, body: Uint8Array<ArrayBuffer>): Promise<void> {
    const victims = this.#policy.put(key, index.stored, index.priority, index.pinned);
    for (const victim of victims) this.#hot.delete(victim);
    const others = victims.filter((victim) => victim !== key);
    // Worth less than everything it would displace: not kept, which is no error.
    if (others.length < victims.length) return this.#shelf.remove(victims);
    try {
      await this.#shelf.write(key, index, body, others);
    } catch (error) {
      if (asFailure(error, "storage_failed").code !== "storage_quota") throw error;
      // Deletes work on a full disk: half of what is here makes room, once.
      const held = (await this.#shelf.list()).reduce((sum, [, item]) => sum + item.stored, 0);
      await this.shrinkTo(Math.floor(held / 2));
      this.#policy.put(key, index.stored, index.priority, index.pinned);
      await this.#shelf.write(key, index, body, []).catch((again: unknown) => {
        this.#policy.erase(key);
        throw again;
      });
    }
  }

  async #read(key: string): Promise<{ readonly index: IndexRecord; readonly value: unknown } | undefined> {
    const found = await this.#shelf.read(key);
    if (!found) return undefined;
    const { index, body } = found;
    try {
      const packed = index.sealed ? await this.keys?.open(this.#place(key, index.version), body) : body;
      if (!packed) throw failure("key_missing", "the item is sealed and this cache has no keys");
      const content = this.#policy.unpack(packed);
      const item = { index, value: toValue(index.kind, index.kind === "bytes" ? content.slice() : content) };
      this.#hot.put(key, item);
      return item;
    } catch (error) {
      const cause = asFailure(error, "storage_failed");
      if (cause.code === "key_locked") throw cause;
      this.#options.quarantined?.(index.contentType, index.contentId, cause);
      this.#policy.erase(key);
      await this.#shelf.remove([key]);
      return undefined;
    }
  }

  #ask(
    key: string,
    contentType: string,
    contentId: string,
    fallback: Fallback,
    { ttl, priority }: ReadOptions,
    old: IndexRecord | undefined,
  ): Promise<unknown> {
    const running = this.#asking.get(key);
    if (running) return running;
    const work = async (): Promise<unknown> => {
      const answer = await fromFallback(fallback, old?.etag);
      const lives = ttl ?? answer.maxAgeMs;
      if (answer.notModified && old) {
        const kept = await this.#read(key);
        const expiresAt = lives === undefined ? undefined : this.#now() + (ttlMs(lives) ?? 0);
        await this.#shelf.change(key, { expiresAt });
        this.#hot.delete(key);
        return kept?.value;
      }
      await this.cacheContent({
        ...{ contentType, contentId, contentData: answer.value, ttl: lives, etag: answer.etag },
        priority: priority ?? old?.priority,
        pinned: old?.pinned,
      });
      return answer.value;
    };
    const asked = work().finally(() => this.#asking.delete(key));
    asked.catch(() => undefined); // whoever waits hears of it; a renewal behind an answer is nobody's error
    this.#asking.set(key, asked);
    return asked;
  }
}

/**
 * A store that reads what will be asked for next while the engine still looks at what came before. A host that starts an engine,
 * and a session that begins a round, ask for the same ranges one after the other, and each question costs a way to the disk
 * and back; here those ways overlap.
 *
 *   made                        -> meta, then all journals and the first pending segments: all that a start asks for
 *   totals asked for later      -> lease
 *   lease asked for, or taken   -> as at first, unless that is still there
 *
 * An answer is given once (the first reading of meta: until a session begins), and outlives neither a write of this context, but
 * for the taking of the lease, which changes nothing of what was read, nor a message from another one. Others may have
 * written all the same: the lease is then refused to us, or what they wrote meets the expectations of our next write, and the
 * round begins anew.
 * One order is kept: segments are never older than meta, or a plan would take what storage does not hold yet for lost.
 */

import { after, compareBytes, sameBytes, toHex, utf8 } from "./bytes.ts";
import type { Channel, KeyRange, Store, StoredRecord, WriteBatch } from "./ports.ts";

// Keys of src/queue/keys.h, limits of src/base/limits.h and src/sync. With a wrong one nothing is found here and storage is asked.
const TOTALS = { from: utf8("me"), to: utf8("mf") };
const META = { from: utf8("m"), to: utf8("n") };
const JOURNALS = { from: utf8("sj"), to: utf8("sk") };
const PENDING = { from: utf8("sp\0"), to: utf8("sp\x05") };
const LEASE_KEY = utf8("ml");
const LEASE = { from: LEASE_KEY, to: after(LEASE_KEY) };
const RECORDS_MAX = 256;
const JOURNAL_RECORDS_MAX = 32;
const FIRST_PAGE = 4;
const PAGE_MAX = 24; // a list for the application may be longer

type Records = readonly StoredRecord[];
interface Ahead {
  readonly limit: number;
  readonly records: Promise<Records>;
}

const nameOf = ({ from, to }: KeyRange): string => `${toHex(from)}-${toHex(to)}`;
const meta_name = nameOf(META);
const pending_name = nameOf(PENDING);
const totals_name = nameOf(TOTALS);
const lease_name = nameOf(LEASE);

export class ReadAhead implements Store {
  /** The given channel, for the engine: what another context tells goes through here first. */
  readonly channel: Channel | undefined;
  readonly #store: Store;
  readonly #ahead = new Map<string, Ahead>();
  /** All of meta as it was in the beginning: answers whatever a start asks of it, until a session begins its first round. */
  #opening: Ahead | undefined;
  /** What a plan asked for last: it adapts its first page to what a request takes. */
  #page = FIRST_PAGE;

  /** Reads at once. The channel is there first, or what another context tells meanwhile would be heard by nobody. */
  constructor(store: Store, channel?: Channel) {
    this.#store = store;
    this.channel = channel && {
      post: (bytes) => channel.post(bytes),
      listen: (heard) =>
        channel.listen((bytes) => {
          this.#forget();
          heard(bytes);
        }),
      close: () => channel.close(),
    };
    this.channel?.listen(() => undefined);
    this.#round();
    this.#opening = this.#take(meta_name);
  }

  commit(batch: WriteBatch): Promise<void> {
    const taking = takesLease(batch);
    if (!taking) this.#forget();
    const done = this.#store.commit(batch);
    if (taking) {
      if (!this.#ahead.has(meta_name)) this.#begin();
      done.catch(() => this.#forget());
    }
    return done;
  }

  scan(range: KeyRange, limit: number): Promise<Records> {
    const name = nameOf(range);
    if (name === totals_name && !this.#opening) {
      this.#forget(); // an engine starts once more
      this.#read(LEASE, 1);
    }
    if (name === pending_name) this.#page = Math.min(limit, PAGE_MAX);
    const asked = (): Promise<Records> => this.#store.scan(range, limit);
    const known = this.#known(name, range, limit);
    const answer = known
      ? known.then((records) => {
          const held = name === lease_name && records !== undefined && records.length > 0;
          // Whoever held it then may have let go since, and all that was read is older than what they did. That nobody holds it
          // needs no such look: it is proved by taking it.
          if (held) this.#forget();
          return held ? asked() : (records ?? asked());
        }, asked)
      : asked();
    if (name === lease_name) {
      this.#begin();
      // Somebody holds it. Whoever takes it from them reads what they have left.
      answer.then(({ length }) => length > 0 && this.#forget()).catch(() => undefined);
    }
    return answer;
  }

  close(): void {
    this.#forget();
    this.channel?.close();
    this.#store.close();
  }

  /** A session begins a round: the first one with what was read in the beginning. */
  #begin(): void {
    if (this.#opening) this.#ahead.set(meta_name, this.#opening);
    else this.#round();
    this.#opening = undefined;
  }

  /** What a session asks for once it has the lease; in place of what an earlier round has left. */
  #round(): void {
    const meta = this.#read(META, RECORDS_MAX);
    this.#read(JOURNALS, JOURNAL_RECORDS_MAX, meta);
    this.#read(PENDING, this.#page, meta);
  }

  #read(range: KeyRange, limit: number, behind?: Promise<unknown>): Promise<Records> {
    const scan = (): Promise<Records> => this.#store.scan(range, limit);
    const records = behind ? behind.then(scan) : scan();
    records.catch(() => undefined); // whoever asks for it asks storage once more
    this.#ahead.set(nameOf(range), { limit, records });
    return records;
  }

  /** The answer as far as it was read ahead; undefined, now or later, where storage has to be asked. */
  #known(name: string, range: KeyRange, limit: number): Promise<Records | undefined> | undefined {
    const opening = this.#opening;
    if (opening && within(range, META)) {
      return opening.records.then((all) =>
        all.length < opening.limit
          ? all.filter(({ key }) => within({ from: key, to: after(key) }, range)).slice(0, limit)
          : undefined,
      );
    }
    const ahead = this.#take(name);
    return ahead?.records.then((records) =>
      limit <= ahead.limit || records.length < ahead.limit ? records.slice(0, limit) : undefined,
    );
  }

  #take(name: string): Ahead | undefined {
    const ahead = this.#ahead.get(name);
    this.#ahead.delete(name);
    return ahead;
  }

  #forget(): void {
    this.#ahead.clear();
    this.#opening = undefined;
  }
}

const within = ({ from, to }: KeyRange, outer: KeyRange): boolean =>
  compareBytes(from, outer.from) >= 0 && compareBytes(to, outer.to) <= 0;

/** It writes the lease, and that is all it does. */
const takesLease = ({ puts, deletes }: WriteBatch): boolean =>
  deletes.length === 0 && puts.length === 1 && puts.every(({ key }) => sameBytes(key, LEASE_KEY));

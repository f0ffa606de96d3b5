/**
 * A store that reads what will be asked for next while the engine still looks at what came before. An engine that starts, and a
 * session that begins a round, ask for the same ranges one after the other, and each question costs a way to the disk and
 * back; here those ways overlap.
 *
 *   totals asked for            -> lease
 *   lease asked for, or taken   -> meta, then all journals and the first pending segments
 *
 * An answer is given once and outlives no write of this context, but for the taking of the lease, which changes nothing of what
 * was read. Other contexts may write meanwhile: the lease is then refused to us, or what they wrote meets the
 * expectations of our next write, and the round begins anew; what they stored after the round had begun, they tell.
 * One order is kept: segments are never older than meta, or a plan would take what storage does not hold yet for lost.
 */

import { after, sameBytes, toHex, utf8 } from "./bytes.ts";
import { journalKey } from "./journal-record.ts";
import type { KeyRange, Store, StoredRecord, WriteBatch } from "./ports.ts";

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
  readonly #store: Store;
  #fresh: string | undefined;
  readonly #ahead = new Map<string, Ahead>();
  /** What a plan asked for last: it adapts its first page to what a request takes. */
  #page = FIRST_PAGE;

  constructor(store: Store) {
    this.#store = store;
  }

  /** Nobody has journalled anything under this epoch, nor will: an engine that starts with it need not ask storage. */
  nothingUnder(epoch: bigint): void {
    this.#fresh = nameOf({ from: journalKey(epoch, 0), to: after(journalKey(epoch, 0xffffffff)) });
  }

  commit(batch: WriteBatch): Promise<void> {
    const taking = takesLease(batch);
    if (!taking) this.#ahead.clear();
    const done = this.#store.commit(batch);
    if (taking) {
      if (!this.#ahead.has(meta_name)) this.#round();
      done.catch(() => this.#ahead.clear());
    }
    return done;
  }

  scan(range: KeyRange, limit: number): Promise<Records> {
    const name = nameOf(range);
    if (name === this.#fresh) return Promise.resolve([]);
    if (name === totals_name) {
      this.#ahead.clear(); // an engine starts
      this.#read(LEASE, 1);
    }
    if (name === pending_name) this.#page = Math.min(limit, PAGE_MAX);
    const ahead = this.#ahead.get(name);
    this.#ahead.delete(name);
    const asked = (): Promise<Records> => this.#store.scan(range, limit);
    const answer = ahead
      ? ahead.records.then((records) => fitting(name, ahead.limit, records, limit) ?? asked(), asked)
      : asked();
    if (name === lease_name) {
      this.#round();
      // Somebody holds it. Whoever takes it from them reads what they have left.
      answer.then(({ length }) => length > 0 && this.#ahead.clear()).catch(() => undefined);
    }
    return answer;
  }

  close(): void {
    this.#ahead.clear();
    this.#store.close();
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
}

/** It writes the lease, and that is all it does. */
const takesLease = ({ puts, deletes }: WriteBatch): boolean =>
  deletes.length === 0 && puts.length === 1 && puts.every(({ key }) => sameBytes(key, LEASE_KEY));

/** The answer to a question with another limit, if it can be told from this one. */
function fitting(name: string, read: number, records: Records, limit: number): Records | undefined {
  // A holder may have let go since, and told of it before anybody listened. That there is none is proved by taking the lease.
  if (name === lease_name && records.length > 0) return undefined;
  return limit <= read || records.length < read ? records.slice(0, limit) : undefined;
}

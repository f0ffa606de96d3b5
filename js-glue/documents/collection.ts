/** A collection of documents, as an application uses it. */

import type { Receipt } from "../browser/client.ts";
import type { ConflictClass, View } from "../core/documents-core.ts";
import { failure } from "../core/errors.ts";
import type { Documents } from "./documents.ts";
import { type DocumentName, documentName, splitKey } from "./names.ts";
import type { Origin } from "./replicas.ts";

/** One conflict as every replica sees it (docs/merge.md). */
export interface Conflict {
  readonly id: string;
  readonly collection: string;
  readonly documentId: string;
  /** JSON Pointer of the place. */
  readonly path: string;
  readonly kind: string;
  readonly class: ConflictClass;
  /** Why it was decided so, for people: "R03 lww: 3.2 s later". */
  readonly rule: string;
  /** The last agreed value; absent when there was none. */
  readonly base?: unknown;
  readonly winner?: unknown;
  /** Every side: its value (absent = it deleted) and the operation it used. */
  readonly siblings: readonly { readonly value?: unknown; readonly op: string; readonly change?: number }[];
  readonly provisional: boolean;
  /** The whole record. */
  readonly record: Readonly<Record<string, unknown>>;
}

/** Which document changed, and whose change it was. */
export interface DocumentChange {
  readonly id: string;
  /** `local` = made here, `context` = in another tab, `server` = anybody's, through the server. */
  readonly origin: Origin;
}

/** One typed operation for `patch`; `path` is a JSON pointer. */
export type Edit =
  | { readonly op: "set" | "insert"; readonly path: string; readonly value: unknown }
  | { readonly op: "delete"; readonly path: string }
  | { readonly op: "inc"; readonly path: string; readonly by: number };

const toText = (value: unknown): string => {
  const text = JSON.stringify(value) as string | undefined;
  if (text === undefined) throw failure("unsupported_value", "a document is a JSON value");
  return text;
};

/** Documents of one collection in one space. Made by `Documents.collection`. */
export class Collection<T = unknown> {
  readonly name: string;
  readonly space: string;
  readonly #documents: Documents;

  constructor(documents: Documents, name: string, space: string) {
    this.#documents = documents;
    this.name = name;
    this.space = space;
  }

  #name(id: string): DocumentName {
    return documentName(this.space, this.name, id);
  }

  /** The document as it is here, own edits included; undefined when there is none. */
  async get(id: string): Promise<T | undefined> {
    const { json } = await this.#documents.view(this.#name(id));
    return json === undefined ? undefined : (JSON.parse(json) as T);
  }

  /**
   * Makes the document this value. Only what differs from what this context was last shown of it (by `get`, `list`, or an
   * edit) is sent, so edits that came in between stay. Resolves at the engine's durability; `.synced` is the server's word.
   * When nothing differs nothing is sent, and the receipt's id is empty.
   */
  put(id: string, value: T): Promise<Receipt> {
    const name = this.#name(id);
    const text = toText(value);
    return this.#documents.edit(name, (place, { core, handle, rules }) => core.put(handle, rules, place, text));
  }

  /** Reads, changes and puts without anything in between. Returning undefined deletes. */
  update(id: string, change: (value: T | undefined) => T | undefined): Promise<Receipt> {
    return this.#documents.edit(this.#name(id), (place, { core, handle, rules }) => {
      const { json } = core.view(handle, rules, true);
      const next = change(json === undefined ? undefined : (JSON.parse(json) as T));
      return core.put(handle, rules, place, next === undefined ? undefined : toText(next));
    });
  }

  /** Single edits as one change; `inc` adds to a counter. Paths are JSON Pointers into what was last shown. */
  patch(id: string, edits: readonly Edit[]): Promise<Receipt> {
    const name = this.#name(id);
    const text = toText(edits);
    return this.#documents.edit(name, (place, { core, handle, rules }) => core.patch(handle, rules, place, text));
  }

  /** Deletes the document; `.synced` of the receipt is the server's verdict. */
  delete(id: string): Promise<Receipt> {
    return this.#documents.edit(this.#name(id), (place, { core, handle, rules }) =>
      core.put(handle, rules, place, undefined),
    );
  }

  /** Creates it where this device knows none: devices that seed the same value seed one document, however many they are. */
  async seed(id: string, value: T): Promise<Receipt> {
    return this.#documents.seed(this.#name(id), toText(value));
  }

  /** All documents of the collection that exist, by id. */
  async list(): Promise<readonly { readonly id: string; readonly value: T }[]> {
    const found: { id: string; value: T }[] = [];
    for (const [id, view] of await this.#views((name) => this.#documents.view(name)))
      if (view.json !== undefined) found.push({ id, value: JSON.parse(view.json) as T });
    return found;
  }

  async #views(look: (name: DocumentName) => Promise<View>): Promise<readonly (readonly [id: string, view: View])[]> {
    const keys = await this.#documents.keys(this.space, this.name);
    const views = await Promise.all(keys.map((key) => look({ space: this.space, key })));
    return keys.map((key, i) => [splitKey(key).id, views[i] as View] as const);
  }

  /** Called after each change of a document of this collection; the result ends it. */
  subscribe(changed: (change: DocumentChange) => void): () => void {
    return this.#documents.subscribe((name, origin) => {
      const { collection, id } = splitKey(name.key);
      if (name.space === this.space && collection === this.name) changed({ id, origin });
    });
  }

  /** Resolves when everything the server has of this space is here. Rejects with `offline`. */
  pull(): Promise<void> {
    return this.#documents.pull(this.space);
  }

  readonly conflicts = {
    /** Of one document, or of all. Those a person has to decide have class `manual`. */
    list: async (id?: string): Promise<readonly Conflict[]> => {
      const peek = (name: DocumentName): Promise<View> => this.#documents.peek(name);
      const views = id === undefined ? await this.#views(peek) : [[id, await peek(this.#name(id))] as const];
      return views.flatMap(([of, { records }]) => records.map((record) => this.#conflict(of, record)));
    },
    /** Settles it for everybody: with a value, or by deleting the place (`undefined`). Covers all sides. */
    resolve: (id: string, conflict: string, value: unknown): Promise<Receipt> => {
      const text = value === undefined ? undefined : toText(value);
      return this.#documents.edit(this.#name(id), (place, { core, handle, rules }) =>
        core.resolve(handle, rules, place, conflict, text),
      );
    },
    /** Writes the side back that lost. */
    undo: async (id: string, conflict: string): Promise<Receipt> => {
      const record = (await this.conflicts.list(id)).find((one) => one.id === conflict);
      if (!record) throw failure("not_found", "there is no such conflict");
      const winner = JSON.stringify(record.winner);
      const loser = record.siblings.find(({ value }) => JSON.stringify(value) !== winner);
      if (!loser) throw failure("not_found", "no side of this conflict lost");
      return this.conflicts.resolve(id, conflict, loser.value);
    },
    /** How many there are by class: honest counts, never one percentage. */
    counts: async (): Promise<Readonly<Record<ConflictClass, number>>> => {
      const counts = { lossless: 0, lossy: 0, manual: 0, failed: 0 };
      for (const conflict of await this.conflicts.list()) counts[conflict.class]++;
      return counts;
    },
  };

  #conflict(id: string, record: View["records"][number]): Conflict {
    const whole = JSON.parse(record.json) as Record<string, unknown>;
    return {
      ...(whole as unknown as Conflict),
      id: record.id,
      collection: this.name,
      documentId: id,
      class: record.class,
      provisional: record.provisional,
      record: whole,
    };
  }

  /** The digest of what the server has accepted of it: equal on every device that has the same changes. */
  async digest(id: string): Promise<string> {
    const { digest } = await this.#documents.peek(this.#name(id));
    return digest.toString(16).padStart(16, "0");
  }
}

/**
 * Documents beside an engine: edits go out as events of its queue, changes come in by pulls, and both meet in the replicas.
 *
 * An edit is visible at once; it is stored in the transaction that queues its event, so there is never one without the
 * other. It stays pending until the server's change order brings it, and leaves when the server rejects it.
 */

import type { OfflineSync, Receipt } from "../browser/client.ts";
import { systemCrypto } from "../browser/contexts.ts";
import { mintEpoch, systemRandom } from "../browser/platform.ts";
import { utf8 } from "../core/bytes.ts";
import { formatDeviceId } from "../core/device-id.ts";
import { type DocumentsCore, type Edit, EMPTY_STATE, type Place, type View } from "../core/documents-core.ts";
import { asFailure, failure } from "../core/errors.ts";
import { Collection } from "./collection.ts";
import { type DocumentChannel, type DocumentMessage, documentChannel, leadership } from "./contexts.ts";
import { droppedOf, EditQueue } from "./edit-queue.ts";
import { Leftovers } from "./leftovers.ts";
import { isStale, isWhole, refusedOf } from "./letters.ts";
import {
  checkCollection,
  checkSpace,
  type DocumentName,
  documentName,
  entityOf,
  OWN_SPACE,
  SCHEMA_COLLECTION,
  splitKey,
} from "./names.ts";
import { Puller } from "./puller.ts";
import { Remakes } from "./remakes.ts";
import { repair, type Snapshot } from "./repair.ts";
import { type EditAt, type Origin, Replicas } from "./replicas.ts";
import { Shelf, type StoredEdit, type WaitingEdit } from "./shelf.ts";
import { type DocumentsWasm, loadDocuments } from "./wasm.ts";

/** Where documents.wasm lies, whether this context pulls, who is told of failures. */
export interface DocumentsOptions extends DocumentsWasm {
  /** False = this context never pulls; another tab does, or nobody. Default true. */
  readonly pulls?: boolean | undefined;
  /** Told of what went wrong behind the scenes; being offline is no failure. */
  readonly failed?: ((error: Error) => void) | undefined;
}

/** Where a collection lies, and the rules of its fields. */
export interface CollectionOptions {
  /** Default: the principal's own space. */
  readonly space?: string | undefined;
  /** Types and policies by path pattern (docs/merge.md); shared by all devices as a document of its own. */
  readonly schema?: Readonly<Record<string, string>> | undefined;
}

/** What an edit that changes nothing answers with: there is no event. */
const NOTHING: Receipt = { id: "", durability: "strict", synced: Promise.resolve({ kind: "applied" }) };

interface Running {
  readonly core: DocumentsCore;
  readonly replicas: Replicas;
  readonly shelf: Shelf;
  readonly edits: EditQueue;
  readonly puller: Puller;
  readonly channel: DocumentChannel;
}

/** All documents of one engine. Made by `withDocuments`. */
export class Documents {
  readonly #engine: OfflineSync;
  readonly #options: DocumentsOptions;
  readonly #followers = new Set<(name: DocumentName, origin: Origin) => void>();
  /** Rules that are being declared, by space and collection: what uses a collection waits until its rules are stored here. */
  readonly #declaring = new Map<string, Promise<void>>();
  /** Under which this context has numbered edits, in hex. */
  readonly #epochs = new Set<string>();
  #running: Promise<Running> | undefined;
  #closed = false;

  constructor(engine: OfflineSync, options: DocumentsOptions = {}) {
    this.#engine = engine;
    this.#options = options;
  }

  /** Loads nothing; the first call of the collection does. */
  collection<T = unknown>(name: string, options: CollectionOptions = {}): Collection<T> {
    const space = checkSpace(options.space ?? OWN_SPACE);
    const collection = new Collection<T>(this, checkCollection(name), space);
    if (options.schema) {
      const declared = this.#declare(space, name, options.schema).catch((error: unknown) => this.#failed(error));
      this.#declaring.set(`${space}/${name}`, declared);
    }
    return collection;
  }

  #declared({ space, key }: DocumentName): Promise<void> | undefined {
    return this.#declaring.get(`${space}/${splitKey(key).collection}`);
  }

  /** Every device that declares the same rules writes one document, and a device that has others changes it for all. */
  async #declare(space: string, collection: string, schema: Readonly<Record<string, string>>): Promise<void> {
    const name = documentName(space, SCHEMA_COLLECTION, collection);
    const text = JSON.stringify(schema, Object.keys(schema).sort());
    const { json } = await this.peek(name);
    if (json === text) return;
    const receipt =
      json === undefined
        ? await this.seed(name, text)
        : await this.edit(name, (place, { core, handle, rules }) => core.put(handle, rules, place, text));
    receipt.synced
      .then(
        // A reader of the space declares nothing; the rules are its writers', and that is no letter for anybody.
        ({ code }) => (code === "read_only" ? this.#engine.deadLetters.drop(receipt.id) : undefined),
      )
      .catch((error: unknown) => this.#failed(error));
  }

  async #start(): Promise<Running> {
    if (this.#closed) throw failure("closed", "the documents are closed");
    this.#running ??= this.#begin().catch((error: unknown) => {
      this.#running = undefined; // offline without a cached core: the next call tries again
      throw error;
    });
    const begun = this.#running;
    const running = await begun;
    if (!running.core.dead) return running;
    // A trap is fatal to the instance, never to data: everything is read from storage again.
    if (this.#running === begun) {
      this.#running = undefined;
      stop(running);
    }
    return this.#start();
  }

  async #begin(): Promise<Running> {
    const [core, host] = await Promise.all([loadDocuments(this.#options), this.#engine.parts.host()]);
    const { database } = this.#engine.inspect();
    const shelf = new Shelf(host.store);
    const refused = refusedOf(await this.#engine.deadLetters.export());
    // Whoever drained the queue did not keep what they stood on, and the next pull may take it away.
    for (const { name } of refused.filter(isStale)) await shelf.keepStood(name);
    const channel = documentChannel(database, (message) => this.#heard(message));
    // Said before it is done, too: if this context dies in between, the others no longer show them. What is made again needs its
    // record until then, unless its letter holds it.
    const gone = await shelf.waitingAmong(refused.filter((letter) => !isStale(letter) || isWhole(letter)));
    for (const { name, edit } of gone) channel.post(droppedOf(name, edit));
    try {
      for (const { name, edit } of gone) await shelf.forget(name, edit);
    } catch (error) {
      channel.close();
      throw error;
    }
    const epoch = mintEpoch(systemRandom);
    this.#epochs.add(epoch.toString(16).padStart(16, "0"));
    const replicas = new Replicas(core, shelf, epoch, (name, origin) => this.#tell(name, origin));
    const device = formatDeviceId(host.device);
    const { transport } = host;
    const failed = (error: unknown): void => this.#failed(error);
    const engine = this.#engine;
    const stale = (name: DocumentName, { delta }: StoredEdit, letter: string): Promise<void> =>
      remakes.again(name, delta, letter);
    const pull = (space: string): Promise<void> => puller.pull(space);
    const edits = new EditQueue({ engine, replicas, shelf, channel, failed, stale, pull });
    const remakes = new Remakes({ engine, replicas, shelf, edits, pull });
    const left = ({ name, edit }: WaitingEdit, letter: string): Promise<void> => stale(name, edit, letter);
    const leftovers = new Leftovers({ engine, shelf, edits, stale: left });
    const mended = (snapshot: Snapshot): Promise<boolean> =>
      repair({ transport, shelf, core, deviceId: device, failed }, snapshot);
    const puller = new Puller({ transport, shelf, replicas, channel, device, failed, leftovers, repair: mended });
    for (const { name, edit } of gone) edits.drop(name, edit); // other contexts may show them
    // A page that comes back from the cache has missed what the others said.
    globalThis.addEventListener?.(
      "pageshow",
      ({ persisted }) => {
        if (persisted)
          for (const space of puller.spaces) replicas.exclusive(space, () => replicas.refresh(space)).catch(failed);
      },
      { signal: puller.signal },
    );
    let letters = engine.status.get().deadLetters;
    engine.status.subscribe(({ phase, deadLetters }) => {
      if (phase === "stopped") void this.close();
      const more = deadLetters > letters;
      letters = deadLetters;
      if (more) this.#dropRefused(shelf, edits).catch(failed);
    });
    if (this.#options.pulls !== false)
      leadership(database, puller.signal)
        .then(() => puller.lead())
        .catch(failed);
    remakes.all(refused).catch(failed);
    return { core, replicas, shelf, edits, puller, channel };
  }

  /** Somebody of this device has stored a dead letter; the tab that made the edit may be gone. Old ones are made again by who pulls. */
  async #dropRefused(shelf: Shelf, edits: EditQueue): Promise<void> {
    const refused = refusedOf(await this.#engine.deadLetters.export()).filter((letter) => !isStale(letter));
    for (const { name, edit } of await shelf.waitingAmong(refused)) edits.leave(name, edit, Promise.resolve());
  }

  #failed(error: unknown): void {
    const known = asFailure(error, "internal");
    if (known.code !== "offline" && known.code !== "closed") this.#options.failed?.(known);
  }

  #tell(name: DocumentName, origin: Origin): void {
    for (const follower of [...this.#followers]) {
      try {
        follower(name, origin);
      } catch (error) {
        globalThis.reportError?.(error); // the application's fault must not stop the others
      }
    }
  }

  #heard(message: DocumentMessage): void {
    this.#running
      ?.then(({ replicas, puller }) => {
        const { say, space } = message;
        if (say === "pull") puller.wanted(space);
        else if (say === "reload") return replicas.exclusive(space, () => replicas.refresh(space));
        else if (say === "edit") replicas.keep({ space, key: message.key }, message.delta);
        else if (say === "dropped") return replicas.dropped({ space, key: message.key }, message.edit);
        else return replicas.follow(space, message.from, message.to, message.changes);
        return undefined;
      })
      .catch((error: unknown) => this.#failed(error));
  }

  /** Called after each change of any document; the result ends it. */
  subscribe(follower: (name: DocumentName, origin: Origin) => void): () => void {
    this.#followers.add(follower);
    return () => {
      this.#followers.delete(follower);
    };
  }

  /** What is visible; the next edit made here is one of this view. */
  async view(name: DocumentName): Promise<View> {
    const { replicas, puller } = await this.#start();
    await this.#declared(name);
    puller.follow(name.space);
    return replicas.view(name);
  }

  /** What is visible, for somebody who does not edit it. */
  async peek(name: DocumentName): Promise<View> {
    const { replicas, puller } = await this.#start();
    puller.follow(name.space);
    return replicas.peek(name);
  }

  /** Ids of the documents of a collection that are here. */
  async keys(space: string, collection: string): Promise<readonly string[]> {
    const { shelf, puller } = await this.#start();
    puller.follow(space);
    return shelf.names(space, collection);
  }

  /** Whether a side of a conflict was made by this context: its `epoch` as conflict records name it. */
  isOwn(epoch: string): boolean {
    return this.#epochs.has(epoch);
  }

  /** Every document stored here, as it is shown here; deleted ones are left out. */
  async *everything(): AsyncGenerator<{ space: string; collection: string; id: string; value: unknown }> {
    const { replicas, shelf } = await this.#start();
    for (const name of await shelf.everything()) {
      const { json } = await replicas.peek(name);
      if (json !== undefined) yield { space: name.space, ...splitKey(name.key), value: JSON.parse(json) as unknown };
    }
  }

  /** Resolves when everything the server has of the space is here. Rejects with `offline`. */
  async pull(space: string): Promise<void> {
    const { puller } = await this.#start();
    puller.follow(space);
    return puller.pull(space);
  }

  /** For collections: an edit that is the same one on every device that makes it. */
  async seed(name: DocumentName, json: string): Promise<Receipt> {
    const hash = await systemCrypto.sha256(utf8(`${entityOf(name)}\0${json}`));
    const epoch = new DataView(hash.buffer, hash.byteOffset).getBigUint64(0) | 1n;
    return this.edit(
      name,
      (place, { core, handle, rules }) => {
        const { json: present, pending, digest } = core.view(handle, rules, true);
        // One that was deleted is known, too.
        const isNew = present === undefined && pending === 0 && digest === core.show(EMPTY_STATE, rules).digest;
        return isNew ? core.put(handle, rules, place, json) : { count: 0, delta: EMPTY_STATE };
      },
      epoch,
    );
  }

  /** For collections: makes one edit and stores it with its event. */
  async edit(name: DocumentName, make: (place: Place, at: EditAt) => Edit, seed?: bigint): Promise<Receipt> {
    const running = await this.#start();
    await this.#declared(name);
    running.puller.follow(name.space);
    const edit = await running.replicas.edit(name, make, seed);
    if (!edit) return NOTHING;
    try {
      return await running.edits.queue(name, edit, { seed: seed !== undefined });
    } catch (error) {
      running.replicas.drop(name, edit);
      throw error;
    }
  }

  /** Stops pulling and listening; the engine stays open. */
  async close(): Promise<void> {
    this.#closed = true;
    const running = await this.#running?.catch(() => undefined);
    if (running) stop(running);
  }
}

function stop({ puller, channel }: Running): void {
  puller.close();
  channel.close();
}

/** The engine with documents: `engine.collection("todos")`. */
export function withDocuments<E extends OfflineSync>(
  engine: E,
  options: DocumentsOptions = {},
): E & Pick<Documents, "collection"> & { readonly documents: Documents } {
  const documents = new Documents(engine, options);
  return Object.assign(engine, { documents, collection: documents.collection.bind(documents) });
}

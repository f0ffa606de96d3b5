/** Where keys lie between visits: CryptoKey objects for the device mode, wrapped bytes for the others. */

export interface Cabinet {
  /** Undefined when there is none. */
  get(name: string): Promise<unknown>;
  /** All or nothing, and on disk when it resolves. `undefined` deletes. */
  put(entries: ReadonlyMap<string, unknown>): Promise<void>;
  /** All of them, sorted. */
  names(): Promise<readonly string[]>;
}

/** For tests, and for browsers that cannot store a CryptoKey: what is sealed with such keys does not outlive the page. */
export class MemoryCabinet implements Cabinet {
  readonly #entries = new Map<string, unknown>();

  get(name: string): Promise<unknown> {
    return Promise.resolve(this.#entries.get(name));
  }

  put(entries: ReadonlyMap<string, unknown>): Promise<void> {
    for (const [name, value] of entries) {
      if (value === undefined) this.#entries.delete(name);
      else this.#entries.set(name, value);
    }
    return Promise.resolve();
  }

  names(): Promise<readonly string[]> {
    return Promise.resolve([...this.#entries.keys()].sort());
  }
}

/** A value one can read at any time and follow: what framework bindings are ten lines over. */

export interface Subscribable<T> {
  /** The same object until something changed, so it fits React's useSyncExternalStore as it is. */
  get(): T;
  /** Called after each change, not for the value at hand; the result ends it. */
  subscribe(changed: (value: T) => void): () => void;
}

export class Subject<T> implements Subscribable<T> {
  readonly #followers = new Set<(value: T) => void>();
  #value: T;

  constructor(value: T) {
    this.#value = value;
  }

  // Frameworks pass both on as bare functions.
  readonly get = (): T => this.#value;

  readonly subscribe = (changed: (value: T) => void): (() => void) => {
    // Wrapped, so that one function given twice is two subscriptions.
    const follower = (value: T): void => changed(value);
    this.#followers.add(follower);
    return () => {
      this.#followers.delete(follower);
    };
  };

  /** A follower that throws is the application's fault and must not stop the others, nor us. */
  set(value: T): void {
    this.#value = value;
    for (const follower of [...this.#followers]) {
      try {
        follower(value);
      } catch (error) {
        globalThis.reportError?.(error);
      }
    }
  }
}

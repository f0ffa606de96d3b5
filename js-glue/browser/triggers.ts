/**
 * When to try again: everything a browser tells a page that may mean "now". Complete without Background Sync, which two
 * of three engines lack; with it, work is also sent after the last page is gone.
 */

export interface TriggerTarget {
  /** `online` is the browser's guess; `eager` asks for a credential again if work waits for one. */
  connectivity(online: boolean, eager: boolean): void;
  readonly pending: () => number;
  /** Nothing is under way that will send the pending work by itself. */
  readonly waiting: () => boolean;
}

interface SyncRegistration extends ServiceWorkerRegistration {
  readonly sync?: { register(tag: string): Promise<void> };
}

export const syncTag = (name: string): string => `oas-drain:${name}`;

const REGISTER_AGAIN_MS = 30_000;

export class Triggers {
  readonly #target: TriggerTarget;
  readonly #tag: string;
  readonly #stop = new AbortController();
  /** When the browser was last asked for a sync event; -Infinity once the queue has been empty. */
  #askedAt = Number.NEGATIVE_INFINITY;

  constructor(name: string, target: TriggerTarget) {
    this.#target = target;
    this.#tag = syncTag(name);
    const { signal } = this.#stop;
    const on = (source: EventTarget | undefined, names: readonly string[], act: () => void): void => {
      for (const type of names) source?.addEventListener?.(type, act, { signal }); // Node's global hears no events
    };
    const page = typeof document === "undefined" ? undefined : document;
    const visible = (): boolean => page?.visibilityState !== "hidden";
    on(globalThis, ["online", "pageshow", "focus"], () => this.#hint(true));
    on(globalThis, ["offline"], () => this.#hint(false));
    // Nothing is closed here: what is stored is stored, and a transaction that has begun still ends.
    on(globalThis, ["pagehide"], () => this.askForSync());
    on(page, ["visibilitychange"], () => (visible() ? this.#hint(true) : this.askForSync()));
    on(page, ["freeze"], () => this.askForSync());
    on(page, ["resume"], () => this.#hint(true));
  }

  #hint(eager: boolean): void {
    this.#target.connectivity(globalThis.navigator?.onLine ?? true, eager);
  }

  /** Call after each change of the status. */
  changed(): void {
    if (this.#target.pending() === 0) this.#askedAt = Number.NEGATIVE_INFINITY;
    else if (this.#target.waiting() && performance.now() - this.#askedAt > REGISTER_AGAIN_MS) this.askForSync();
  }

  /** Asks the browser to wake the Service Worker once it believes to be online, pages or no pages. */
  askForSync(): void {
    if (this.#target.pending() === 0 || !globalThis.navigator?.serviceWorker) return;
    this.#askedAt = performance.now();
    const asked = navigator.serviceWorker.getRegistration().then((registration) => {
      const { sync } = (registration ?? {}) as Partial<SyncRegistration>;
      return registration?.active ? sync?.register(this.#tag) : undefined;
    });
    asked.catch(() => {
      // Refused (permission, private mode) or not there: the page's own triggers remain.
      this.#askedAt = Number.NEGATIVE_INFINITY;
    });
  }

  close(): void {
    this.#stop.abort();
  }
}

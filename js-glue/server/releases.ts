/** Wakes deferred events: after each push of their device, and by a timer. One run per device at a time. */

import { toHex } from "../core/bytes.ts";
import { errorFields } from "./log.ts";
import { type ReleaseOptions, releaseDevice } from "./release.ts";

export interface ReleasesOptions extends ReleaseOptions {
  /** Late verdicts of this device are there now. */
  readonly settled: (tenant: string, device: Uint8Array) => void;
  /** 0 = no timer. */
  readonly intervalMs: number;
}

const DEVICES_MAX = 100;

export class Releases {
  readonly #options: ReleasesOptions;
  readonly #running = new Map<string, Promise<void>>();
  readonly #timer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(options: ReleasesOptions) {
    this.#options = options;
    if (options.intervalMs > 0) {
      this.#timer = setInterval(() => this.#look(), options.intervalMs);
      this.#timer.unref();
    }
  }

  /** In the background; a device that is being looked at is looked at once more afterwards. */
  soon(tenant: string, device: Uint8Array): void {
    void this.#run(tenant, device);
  }

  /** Everything that is due now. Rejects as the database does. */
  async due(): Promise<void> {
    const { store, now } = this.#options;
    const devices = await store.read((reads) => reads.devicesDue(now(), DEVICES_MAX));
    for (const { tenant, device } of devices) await this.#run(tenant, device);
    await Promise.all(this.#running.values());
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearInterval(this.#timer);
    await Promise.all(this.#running.values());
  }

  #look(): void {
    if (this.#closed) return;
    this.due().catch((error: unknown) =>
      this.#options.log.warn(errorFields(error), "could not look for waiting events"),
    );
  }

  #run(tenant: string, device: Uint8Array): Promise<void> {
    if (this.#closed) return Promise.resolve();
    const key = `${toHex(device)}/${tenant}`;
    const before = this.#running.get(key) ?? Promise.resolve();
    const run = before.then(() => this.#release(tenant, device));
    this.#running.set(key, run);
    return run.finally(() => {
      if (this.#running.get(key) === run) this.#running.delete(key);
    });
  }

  async #release(tenant: string, device: Uint8Array): Promise<void> {
    try {
      const settled = await releaseDevice(this.#options, tenant, device);
      if (settled > 0) this.#options.settled(tenant, device);
    } catch (error) {
      // The rows are as they were; the timer comes back to them.
      this.#options.log.warn(errorFields(error), "could not release waiting events");
    }
  }
}

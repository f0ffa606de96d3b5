/** A queue as people write it first: an array, a POST, another try when it fails. Kept as a comparison, not as an example. */

export interface NaiveEvent {
  readonly deviceId: string;
  readonly eventType: string;
  readonly moduleId: string;
  readonly eventData: unknown;
}

const RETRY_MS = 500;

export class NaiveQueue {
  readonly #url: string;
  readonly #queue: NaiveEvent[] = [];
  #sending = false;

  constructor(url: string) {
    this.#url = url;
  }

  get length(): number {
    return this.#queue.length;
  }

  send(event: NaiveEvent): void {
    this.#queue.push(event);
    if (!this.#sending) void this.#flush();
  }

  async #flush(): Promise<void> {
    this.#sending = true;
    for (let event = this.#queue[0]; event; event = this.#queue[0]) {
      try {
        const response = await fetch(this.#url, {
          method: "POST",
          headers: { "content-type": "application/json" },
          body: JSON.stringify(event),
        });
        if (!response.ok) throw new Error(`${response.status}`);
        this.#queue.shift();
      } catch {
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS)); // whatever it was, try again
      }
    }
    this.#sending = false;
  }
}

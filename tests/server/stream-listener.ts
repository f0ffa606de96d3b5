/** A test's half of an event stream. */

import assert from "node:assert/strict";
import type { TestClient } from "./harness.ts";

/** Events of one stream as they come. */
export class Listener {
  readonly events: string[] = [];
  /** What came with the pokes. */
  readonly news: string[] = [];
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  #waiting: (() => void) | undefined;
  ended = false;
  private constructor(response: Response) {
    this.#reader = response.body!.getReader();
    void this.#read();
  }
  static async open(client: TestClient): Promise<Listener> {
    const response = await client.json("GET", "/sync/stream");
    assert.equal(response.status, 200);
    assert.equal(response.headers.get("content-type"), "text/event-stream");
    const listener = new Listener(response);
    await listener.until(1);
    return listener;
  }
  async #read(): Promise<void> {
    for (;;) {
      const { done, value } = await this.#reader.read().catch(() => ({ done: true, value: undefined }));
      if (done) break;
      const text = Buffer.from(value!).toString();
      for (const [, data] of text.matchAll(/^event: poke\ndata: (.*)$/gm)) this.news.push(data!);
      for (const [, name] of text.matchAll(/^event: (\w+)$/gm)) this.events.push(name!);
      this.#waiting?.();
    }
    this.ended = true;
    this.#waiting?.();
  }
  async until(count: number): Promise<void> {
    const deadline = performance.now() + 10_000;
    while (this.events.length < count && !this.ended) {
      if (performance.now() > deadline) throw new Error(`only ${this.events.length} of ${count} events came`);
      await new Promise<void>((resolve) => {
        this.#waiting = resolve;
        setTimeout(resolve, 200);
      });
    }
  }
  close(): Promise<void> {
    return this.#reader.cancel();
  }
}

// What the contexts of one device tell each other, on a BroadcastChannel that notes what it is given.
import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it, mock } from "node:test";
import { broadcastChannel, type SettledNotice, shareSettled } from "../../js-glue/browser/contexts.ts";

const real = globalThis.BroadcastChannel;
let posted: number[] = [];

class Noted {
  #open = true;
  postMessage(message: Uint8Array | SettledNotice): void {
    if (!this.#open) throw new DOMException("the channel is closed", "InvalidStateError");
    posted.push("upto" in message ? message.upto : (message[0] ?? 0));
  }
  close(): void {
    this.#open = false;
  }
}

describe("channel between contexts", () => {
  beforeEach(() => {
    posted = [];
    globalThis.BroadcastChannel = Noted as unknown as typeof BroadcastChannel;
    mock.timers.enable({ apis: ["setTimeout"] });
  });
  afterEach(() => {
    mock.timers.reset();
    globalThis.BroadcastChannel = real;
  });

  it("tells the others after whoever awaits the event has gone on, everything and in order", () => {
    const channel = broadcastChannel("db");
    channel?.post(Uint8Array.of(1));
    channel?.post(Uint8Array.of(2));
    assert.deepEqual(posted, []);
    mock.timers.tick(0);
    assert.deepEqual(posted, [1, 2]);
    channel?.post(Uint8Array.of(3));
    mock.timers.tick(0);
    assert.deepEqual(posted, [1, 2, 3]);
  });

  it("says what is left to say before it closes, and nothing after", () => {
    const channel = broadcastChannel("db");
    channel?.post(Uint8Array.of(1));
    channel?.close();
    assert.deepEqual(posted, [1]);
    channel?.post(Uint8Array.of(2));
    mock.timers.tick(0);
    assert.deepEqual(posted, [1]);
  });

  it("does the same with what became of events", () => {
    const shared = shareSettled("db", () => undefined);
    const notice = { notice: "settled", epoch: 1n, lane: 2, from: 1, late: false, exceptions: [] } as const;
    shared.post({ ...notice, upto: 5 });
    assert.deepEqual(posted, []);
    mock.timers.tick(0);
    shared.post({ ...notice, upto: 6 });
    shared.close();
    assert.deepEqual(posted, [5, 6]);
  });
});

/**
 * What the last push of a device left in the database, so that the next one need not read it. Never believed by itself: the
 * statement that writes compares everything again, and where another process was there first it fails and the rows are read.
 *
 * Only what a plain continuation needs is kept. A stream near whose end numbers were given up (voids) is not: a late push of
 * those must find the rows.
 */

import type { StreamNeed, StreamRef, StreamRow, StreamWrite } from "./session.ts";
import type { DeviceHead, PushRows } from "./store/reads.ts";

const DEVICES_MAX = 10_000;
const STREAMS_PER_DEVICE_MAX = 16;

interface Recent {
  readonly head: DeviceHead;
  readonly marks: ReadonlyMap<string, StreamRow["mark"]>;
}

const keyOf = ({ epoch, lane }: StreamRef): string => `${epoch}/${lane}`;

export class RecentDevices {
  /** In order of their last push. */
  readonly #devices = new Map<string, Recent>();

  static key(tenant: string, device: Uint8Array): string {
    return `${Buffer.from(device.buffer, device.byteOffset, device.length).toString("latin1")}${tenant}`;
  }

  /** The rows for these needs, when each stream just goes on where the last push ended; otherwise they have to be read. */
  rows(key: string, needs: readonly StreamNeed[]): PushRows | undefined {
    const recent = this.#devices.get(key);
    if (!recent) return undefined;
    const streams: StreamRow[] = [];
    for (const { stream, stored, hashesAt, markOnly } of needs) {
      const mark = recent.marks.get(keyOf(stream));
      if (!mark || markOnly || stored !== mark.seq || hashesAt.some((seq) => seq < stored)) return undefined;
      streams.push({ stream, mark, hashes: hashesAt.includes(stored) ? [mark] : [], verdicts: [], voids: [] });
    }
    return { head: recent.head, streams };
  }

  /** The push that was planned from `rows` has moved these streams and brought so many events. */
  moved(key: string, { head, streams }: PushRows, moves: readonly StreamWrite[], events: number): void {
    this.#devices.delete(key);
    if (!head) return;
    const marks = new Map<string, StreamRow["mark"]>();
    for (const { stream, mark, voids } of streams)
      if (voids.length === 0 && marks.size < STREAMS_PER_DEVICE_MAX) marks.set(keyOf(stream), mark);
    for (const { stream, after } of moves) if (marks.has(keyOf(stream))) marks.set(keyOf(stream), after);
    this.#devices.set(key, { head: { ...head, arrivalHead: head.arrivalHead + events }, marks });
    if (this.#devices.size <= DEVICES_MAX) return;
    const [oldest] = this.#devices.keys();
    if (oldest !== undefined) this.#devices.delete(oldest);
  }

  forget(key: string): void {
    this.#devices.delete(key);
  }
}

/** The host's own records in the meta store: what page and worker tell each other through storage. */

import { after, utf8 } from "../core/bytes.ts";
import type { Store } from "../core/ports.ts";

/** 'm' 'h' and a letter; the core's own records never begin with 'm' 'h'. */
const key = (letter: string): Uint8Array => utf8(`mh${letter}`);
export const WORKER_TOKEN_KEY = /* @__PURE__ */ key("t");
export const REGISTRATION_KEY = /* @__PURE__ */ key("r");

/** What such a record may hold; nothing is believed before it was looked at. */
export interface Note {
  readonly token?: unknown;
  readonly digest?: unknown;
  readonly at?: unknown;
}

/** The JSON of a record, or undefined when it is absent or not ours. */
export async function readNote(store: Store, at: Uint8Array): Promise<Note | undefined> {
  const [record] = await store.scan({ from: at, to: after(at) }, 1);
  if (!record) return undefined;
  try {
    const value: unknown = JSON.parse(new TextDecoder().decode(record.value));
    return typeof value === "object" && value !== null ? (value as Note) : undefined;
  } catch {
    return undefined; // damaged: as good as absent, it is written anew
  }
}

export function writeNote(store: Store, at: Uint8Array, value: Note): Promise<void> {
  const put = { key: at, value: utf8(JSON.stringify(value)) };
  return store.commit({ level: "durable", expects: [], deletes: [], puts: [put] });
}

/**
 * The dictionary that makes pushes smaller (src/sync/packer.h): the core learns it from what this device sends, the server is
 * given it once, and it is kept beside the queue for the next page. Everything works without it, so whatever goes wrong here
 * only ends its use.
 */

import { after, joinBytes, utf8 } from "../core/bytes.ts";
import { formatDeviceId } from "../core/device-id.ts";
import { asFailure } from "../core/errors.ts";
import { Op } from "../core/io.ts";
import type { EngineLoop } from "../core/loop.ts";
import type { Store } from "../core/ports.ts";
import type { FetchTransport } from "./transport.ts";

/** 'm' 'h' as all of the host's records: time of learning f64, the packed dictionary. */
const KEY = /* @__PURE__ */ utf8("mhd");
const TIME_BYTES = 8;
const NONE: Uint8Array = new Uint8Array(0);
/** An app says other things after a while. */
const AGE_MS_MAX = 30 * 24 * 3_600_000;
const TIMEOUT_MS = 15_000;

interface DictionaryParts {
  readonly loop: EngineLoop;
  readonly store: Store;
  readonly transport: FetchTransport;
  readonly device: Uint8Array;
}

/** What the server was given, or nothing. */
async function read(store: Store): Promise<Uint8Array> {
  const [record] = await store.scan({ from: KEY, to: after(KEY) }, 1);
  if (!record || record.value.length <= TIME_BYTES) return NONE;
  const age = Date.now() - new DataView(record.value.buffer, record.value.byteOffset).getFloat64(0);
  return age >= 0 && age < AGE_MS_MAX ? record.value.slice(TIME_BYTES) : NONE;
}

/** Empty = there is none to keep. */
function write(store: Store, packed: Uint8Array): Promise<void> {
  const time = new Uint8Array(TIME_BYTES);
  new DataView(time.buffer).setFloat64(0, Date.now());
  const gone = packed.length === 0;
  return store.commit({
    level: "durable",
    expects: [],
    deletes: gone ? [{ from: KEY, to: after(KEY) }] : [],
    puts: gone ? [] : [{ key: KEY, value: joinBytes(time, packed) }],
  });
}

/** True when the server has it. Rejects without an answer. */
async function bring({ transport, device }: DictionaryParts, packed: Uint8Array): Promise<boolean> {
  const response = await transport.put(`/sync/dictionary/${formatDeviceId(device)}`, packed, TIMEOUT_MS);
  await response.body?.cancel();
  return response.ok;
}

const same = (a: Uint8Array, b: Uint8Array): boolean => a.length === b.length && a.every((byte, i) => byte === b[i]);

/** Uses what is kept, learns where there is nothing, and goes on until the loop ends. Never rejects. */
export async function keepDictionary(parts: DictionaryParts): Promise<void> {
  const { loop, store } = parts;
  try {
    let held = await read(store);
    let refused = NONE;
    for (;;) {
      const packed = await loop.command(Op.dictionary, held);
      // Another tab has brought its own meanwhile, and the server keeps one.
      const stored = await read(store);
      if (stored.length > 0 && !same(stored, held)) {
        held = stored;
        continue;
      }
      // One that the server has lost comes back first. Twice the same is not worth a third try.
      const again = same(packed, refused);
      refused = same(packed, held) ? packed : NONE;
      held = again ? NONE : packed;
      const taken = again || (await bring(parts, packed));
      await write(store, taken ? held : NONE);
      if (!taken) return; // an older server, or one that wants none now: the next page learns anew
    }
  } catch (error) {
    // What is kept is none: the next page learns anew. Closed, offline, no room: it tries again.
    if (asFailure(error, "internal").fault === "peer") await write(store, NONE).catch(() => undefined);
  }
}

/** For one drain: uses what is kept, and learns nothing. Never rejects. */
export async function takeDictionary(loop: EngineLoop, store: Store): Promise<void> {
  const held = await read(store).catch(() => NONE);
  if (held.length > 0) loop.command(Op.dictionary, held).catch(() => undefined);
}

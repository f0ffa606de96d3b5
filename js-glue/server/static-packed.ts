/** Static files as a client takes them: packed once for each version of a file, and kept in memory. */

import { promisify } from "node:util";
import { brotliCompress, constants, gzip } from "node:zlib";

export type Encoding = "br" | "gzip";

/** Packing is worth a request's while from here on: below, one packet carries the file either way. */
const PACKED_BYTES_MIN = 1_024;
/** One folder's files, in both encodings; older ones go first. */
const KEPT_MAX = 512;
const QUALITY = 9;

const brotli = promisify(brotliCompress);
const gzipped = promisify(gzip);
const PACK: Readonly<Record<Encoding, (bytes: Buffer) => Promise<Buffer>>> = {
  br: (bytes) => brotli(bytes, { params: { [constants.BROTLI_PARAM_QUALITY]: QUALITY } }),
  gzip: (bytes) => gzipped(bytes, { level: QUALITY }),
};
const kept = new Map<string, Promise<Buffer>>();

/** The encoding that a request accepts for a file of this type, and undefined where it is to go as it is. */
export function encodingFor(accept: string | undefined, type: string, size: number): Encoding | undefined {
  if (size < PACKED_BYTES_MIN || !/^text\/|json|wasm|svg/.test(type)) return undefined;
  const accepted = (accept ?? "").split(",").map((one) => one.trim().toLowerCase());
  return (["br", "gzip"] as const).find((name) =>
    accepted.some((one) => one === name || (one.startsWith(`${name};`) && !/q=0(\.0*)?$/.test(one))),
  );
}

/** What `read` gives, packed; `version` names the file and its content. It is read and packed once, however many ask. */
export function packedFile(version: string, read: () => Promise<Buffer>, encoding: Encoding): Promise<Buffer> {
  const key = `${encoding} ${version}`;
  const known = kept.get(key);
  if (known) return known;
  const packed = read().then(PACK[encoding]);
  packed.catch(() => kept.delete(key));
  kept.set(key, packed);
  if (kept.size > KEPT_MAX) kept.delete(kept.keys().next().value ?? key);
  return packed;
}

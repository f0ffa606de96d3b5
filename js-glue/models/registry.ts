/** The registry of a sync server over fetch, and signatures by WebCrypto. */

import { systemCrypto } from "../browser/contexts.ts";
import type { TokenSource } from "../browser/transport.ts";
import { joinBytes } from "../core/bytes.ts";
import { failure } from "../core/errors.ts";
import { BLOCK_BYTES, BLOCK_HASH_BYTES, MANIFEST_BYTES_MAX, MODEL_BYTES_MAX } from "../core/model-statement.ts";
import type { Verifier } from "./manifest.ts";
import type { Registry } from "./updater.ts";

const TIMEOUT_MS = 30_000;
const BLOCKS_BYTES_MAX = Math.ceil(MODEL_BYTES_MAX / BLOCK_BYTES) * BLOCK_HASH_BYTES;

/** Checks by WebCrypto; where that lacks Ed25519 it refuses everything. */
export const webVerifier: Verifier = {
  sha256: (bytes) => systemCrypto.sha256(bytes),
  async verify(key, signature, message) {
    const { subtle } = globalThis.crypto ?? {};
    if (subtle === undefined)
      throw failure("signature", "no WebCrypto here: models cannot be checked, so none is taken");
    let imported: CryptoKey;
    try {
      imported = await subtle.importKey("raw", key as Uint8Array<ArrayBuffer>, "Ed25519", false, ["verify"]);
    } catch (error) {
      throw failure("signature", "this browser cannot check Ed25519, so no model is taken", { cause: error });
    }
    return subtle.verify("Ed25519", imported, signature as Uint8Array<ArrayBuffer>, message as Uint8Array<ArrayBuffer>);
  },
};

/** Where the registry is, and how to sign in. */
export interface RegistryOptions {
  /** Where the API lives, such as `/api/offline-ai`. Same origin as the page, by the browser's own rules. */
  readonly url: string;
  readonly auth?: "cookie" | TokenSource | undefined;
}

/** Reads no more than was asked for, whatever the other side sends. */
async function readBody(response: Response, bytesMax: number): Promise<Uint8Array> {
  const reader = response.body?.getReader();
  const parts: Uint8Array[] = [];
  let size = 0;
  while (reader) {
    let chunk: ReadableStreamReadResult<Uint8Array>;
    try {
      chunk = await reader.read();
    } catch (error) {
      throw failure("offline", "the model registry broke off", { cause: error });
    }
    if (chunk.done) break;
    size += chunk.value.length;
    if (size > bytesMax) {
      await reader.cancel().catch(() => undefined); // we are leaving anyway
      throw failure("limit_exceeded", "the answer is too large", { detail: bytesMax });
    }
    parts.push(chunk.value);
  }
  return joinBytes(...parts);
}

/** A registry that is asked by `fetch`. */
export function fetchRegistry({ url, auth = "cookie" }: RegistryOptions): Registry {
  const base = url.replace(/\/+$/, "");
  const get = async (path: string, bytesMax: number, range?: string): Promise<Uint8Array> => {
    const token = auth === "cookie" ? undefined : await auth();
    const headers = { ...(token ? { authorization: `Bearer ${token}` } : {}), ...(range ? { range } : {}) };
    // A manifest is asked for again with its ETag; parts of files lie in our own storage.
    const cache = range ? "no-store" : "no-cache";
    let response: Response;
    try {
      response = await fetch(base + path, { headers, signal: AbortSignal.timeout(TIMEOUT_MS), cache });
    } catch (error) {
      throw failure("offline", "the model registry could not be reached", { cause: error });
    }
    const refuse = (code: Parameters<typeof failure>[0], message: string) => {
      void response.body?.cancel().catch(() => undefined); // what it says does not matter any more
      return failure(code, message);
    };
    if (response.status === 401 || response.status === 403) throw refuse("unauthorized", "the registry refused");
    if (response.status === 404) throw refuse("not_found", "the registry has no such model");
    if (!response.ok) throw refuse("server_busy", `the registry answered ${response.status}`);
    // A server that ignores Range sends the whole file with 200.
    if (range !== undefined && response.status !== 206) throw refuse("malformed", "ranges are not served");
    return readBody(response, bytesMax);
  };
  const file = (id: string): string => `/models/${encodeURIComponent(id)}`;
  return {
    name: base.slice(0, 200),
    manifest: async () => new TextDecoder().decode(await get("/models/manifest", MANIFEST_BYTES_MAX)),
    blocks: (id) => get(`${file(id)}/blocks`, BLOCKS_BYTES_MAX),
    delta: (id, from) =>
      get(`${file(id)}/delta?from=${from}`, MODEL_BYTES_MAX).catch((error: { code?: unknown }) => {
        if (error.code === "not_found") return undefined;
        throw error;
      }),
    range: (id, from, to) => get(`${file(id)}/artifact`, to - from, `bytes=${from}-${to - 1}`),
  };
}

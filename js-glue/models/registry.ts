/** The registry of a sync server over fetch, and signatures by WebCrypto. */

import { systemCrypto } from "../browser/contexts.ts";
import type { TokenSource } from "../browser/transport.ts";
import { failure } from "../core/errors.ts";
import { MANIFEST_BYTES_MAX, type Verifier } from "./manifest.ts";
import type { Registry } from "./updater.ts";

const TIMEOUT_MS = 30_000;
const BLOCKS_BYTES_MAX = 64_000;

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

export interface RegistryOptions {
  /** Where the API lives, such as `/api/offline-ai`. Same origin as the page, by the browser's own rules. */
  readonly url: string;
  readonly auth?: "cookie" | TokenSource | undefined;
}

export function fetchRegistry({ url, auth = "cookie" }: RegistryOptions): Registry {
  const base = url.replace(/\/+$/, "");
  const get = async (path: string, bytesMax: number, headers: Record<string, string> = {}): Promise<Uint8Array> => {
    const token = auth === "cookie" ? undefined : await auth();
    if (token) headers["authorization"] = `Bearer ${token}`;
    let response: Response;
    try {
      response = await fetch(base + path, { headers, signal: AbortSignal.timeout(TIMEOUT_MS), cache: "no-store" });
    } catch (error) {
      throw failure("offline", "the model registry could not be reached", { cause: error });
    }
    if (response.status === 401 || response.status === 403) throw failure("unauthorized", "the registry refused");
    if (response.status === 404) throw failure("not_found", "the registry has no such model");
    if (!response.ok) throw failure("server_busy", `the registry answered ${response.status}`);
    const bytes = new Uint8Array(await response.arrayBuffer());
    if (bytes.length > bytesMax) throw failure("limit_exceeded", "the answer is too large", { detail: bytesMax });
    // A server that ignores Range sends the whole file with 200.
    if (headers["range"] !== undefined && response.status !== 206) throw failure("malformed", "ranges are not served");
    return bytes;
  };
  const file = (id: string): string => `/models/${encodeURIComponent(id)}`;
  return {
    manifest: async () => new TextDecoder().decode(await get("/models/manifest", MANIFEST_BYTES_MAX)),
    blocks: (id) => get(`${file(id)}/blocks`, BLOCKS_BYTES_MAX),
    range: (id, from, to) => get(`${file(id)}/artifact`, to - from, { range: `bytes=${from}-${to - 1}` }),
  };
}

/** Where a context gets kernels and model files from: its own storage first, then the application's server. */

import { databaseName, openDatabase } from "../browser/database.ts";
import * as reader from "../browser/indexeddb-read.ts";
import { IndexedDbStore } from "../browser/indexeddb-store.ts";
import { asFailure, failure } from "../core/errors.ts";
import { fetchFile } from "../core/load.ts";
import { MemoryStore } from "../core/memory-store.ts";
import type { Store } from "../core/ports.ts";
import { CoreKernels, simdSupported } from "../runtimes/core-kernels.ts";
import type { ModelStore } from "./model-store.ts";

const DATABASE_WAIT_MS = 100;
const DATABASE_WAITS_MAX = 50;
const FILE_BYTES_MAX = 8_000_000;

/** The engine's own database; where there is none, and none comes within 5 s, what is learned lasts as long as the page. */
export async function openModelDatabase(name: string, subject: string, waits = DATABASE_WAITS_MAX): Promise<Store> {
  const database = databaseName(name, subject);
  const reopen = () => openDatabase(database, {});
  for (let attempt = 0; ; attempt++) {
    try {
      return new IndexedDbStore(await reopen(), { reopen, reader: () => Promise.resolve(reader) });
    } catch (error) {
      const { code } = asFailure(error, "storage_failed");
      // The engine creates it, in its own time.
      if (code !== "not_found" || attempt >= waits) return new MemoryStore();
      await new Promise((resolve) => setTimeout(resolve, DATABASE_WAIT_MS));
    }
  }
}

/** infer.wasm, or its baseline build beside it where there is no SIMD. */
export function kernelUrl(given: string | URL, base: string): string {
  const url = new URL(given, base);
  if (!simdSupported()) url.pathname = url.pathname.replace(/infer\.wasm$/, "infer-base.wasm");
  return url.href;
}

/** Fetches bytes; `kept` answers instead where it has them, so that nothing is asked of the network. */
export async function fetchBytes(
  url: string,
  kept: (url: string) => Promise<Response | undefined> = () => Promise.resolve(undefined),
): Promise<Uint8Array<ArrayBuffer>> {
  let response: Response;
  try {
    response = (await kept(url)) ?? (await (URL.canParse(url) ? fetchFile(new URL(url)) : fetch(url)));
  } catch (error) {
    throw failure("offline", `${url} could not be loaded`, { cause: error });
  }
  if (response.status === 404) throw failure("not_found", `${url}: there is no such file`);
  if (!response.ok) throw failure("server_busy", `${url}: the server answered ${response.status}`);
  const bytes = new Uint8Array(await response.arrayBuffer());
  if (bytes.length > FILE_BYTES_MAX) throw failure("limit_exceeded", `${url} is too large`, { detail: FILE_BYTES_MAX });
  return bytes;
}

export type Kept = Parameters<typeof fetchBytes>[1];

export const openKernels = async (url: string, kept?: Kept): Promise<CoreKernels> =>
  CoreKernels.open({ binary: await fetchBytes(url, kept) });

export interface FileSource {
  readonly store: ModelStore;
  /** Address of a model's file on the application's server; undefined = it is only in storage. */
  readonly address: (model: string) => string | undefined;
  readonly kept?: Kept;
}

/** The file as it lies in storage; the first time, from its address, and kept then. The kernels check it when they load it. */
export async function modelFile(
  { store, address, kept }: FileSource,
  name: string,
): Promise<{ readonly file: Uint8Array; readonly isStored: boolean }> {
  const stored = await store.open(name);
  if (stored) return { file: stored.file, isStored: true };
  const url = address(name);
  if (url === undefined) throw failure("not_found", `there is no model '${name}' here`);
  return { file: await fetchBytes(url, kept), isStored: false };
}

/**
 * `offline-ai-sync/privacy`: what this device holds of a person, as text, and its end.
 *
 * Both speak of this device alone; the server has an export and an erasure of its own (docs/server.md).
 */

import type { OfflineSync } from "../browser/client.ts";
import { databaseName } from "../browser/database.ts";
import { forgetInstall } from "../browser/outside-copy.ts";
import type { ContentCache } from "../cache/content-cache.ts";
import { cacheDatabase } from "../cache/content-cache.ts";
import { toBase64 } from "../core/bytes.ts";
import { failure } from "../core/errors.ts";
import type { Documents } from "../documents/documents.ts";

/** What `exportDevice` is to tell; each part may be left out. */
export interface ExportParts {
  readonly engine?: Pick<OfflineSync, "pending" | "deadLetters" | "inspect"> | undefined;
  readonly documents?: Pick<Documents, "everything"> | undefined;
  readonly cache?: Pick<ContentCache, "list" | "cachedContent"> | undefined;
}

const BLOCKED_MS_MAX = 10_000;

/**
 * One JSON object a line (NDJSON), each with its `kind`: device, pending, deadLetter, document, content. Rejects with
 * `key_locked` while content is sealed with a key that is locked.
 */
export async function* exportDevice({ engine, documents, cache }: ExportParts): AsyncGenerator<string> {
  const line = (kind: string, value: object): string => `${JSON.stringify({ kind, ...value })}\n`;
  if (engine) {
    const { database, status } = engine.inspect();
    yield line("device", { database, pending: status.pending, deadLetters: status.deadLetters });
    let after: string | undefined = "";
    while (after !== undefined) {
      const page: Awaited<ReturnType<typeof engine.pending.list>> = await engine.pending.list({ after });
      for (const event of page.items) yield line("pending", event);
      after = page.next;
    }
    for (const letter of await engine.deadLetters.export()) yield line("deadLetter", letter);
  }
  if (documents) for await (const document of documents.everything()) yield line("document", document);
  if (cache)
    for (const { contentType, contentId, cachedAt } of await cache.list()) {
      const value = await cache.cachedContent(contentType, contentId);
      const contentData = value instanceof Uint8Array ? { base64: toBase64(value) } : value;
      yield line("content", { contentType, contentId, cachedAt, contentData });
    }
}

/** What `eraseDevice` is to remove. */
export interface ErasedParts {
  readonly name: string;
  readonly subject?: string | undefined;
  /** Closed first; unsent work in it is gone, too. */
  readonly engine?: Pick<OfflineSync, "close"> | undefined;
  readonly cache?: { close(): void | Promise<void> } | undefined;
}

/**
 * Deletes everything this device holds under the name and subject: unsent events, documents, dead letters, cached content with
 * its keys, models and what they have learned, the install id. Resolves when the browser has deleted it; rejects with
 * `storage_blocked` when another tab keeps it open for 10 s. Bytes may stay on the disk until the browser writes over them; sealed
 * content cannot be read without its keys.
 */
export async function eraseDevice({ name, subject = "", engine, cache }: ErasedParts): Promise<readonly string[]> {
  await engine?.close();
  await cache?.close();
  const databases = [databaseName(name, subject), cacheDatabase(name, subject)];
  for (const database of databases) await deleteDatabase(database);
  await forgetInstall(databaseName(name, subject));
  return databases;
}

function deleteDatabase(name: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const request = indexedDB.deleteDatabase(name);
    // Other tabs are told to close theirs, and mostly do; the deletion then goes on by itself.
    const timer = setTimeout(
      () => reject(failure("storage_blocked", `another tab keeps ${name} open`)),
      BLOCKED_MS_MAX,
    );
    request.onsuccess = () => {
      clearTimeout(timer);
      resolve();
    };
    request.onerror = () => {
      clearTimeout(timer);
      reject(failure("storage_failed", `${name} could not be deleted`, { cause: request.error }));
    };
  });
}

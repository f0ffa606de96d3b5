/** Ends and answers of IndexedDB transactions as promises. */

import { asFailure, failure } from "../core/errors.ts";

/** Resolves when the transaction has ended, never on a request's success; quota raises no error, only an abort. */
export function ended(tx: IDBTransaction): Promise<void> {
  return new Promise((resolve, reject) => {
    tx.oncomplete = () => resolve();
    tx.onabort = () => {
      const quota = tx.error?.name === "QuotaExceededError";
      reject(
        quota
          ? failure("storage_quota", "the browser refused to store more", { cause: tx.error })
          : asFailure(tx.error, "storage_failed"),
      );
    };
  });
}

/** Everything has been asked for: the browser need not wait for the last answer before it starts to write. */
export function committed(tx: IDBTransaction): Promise<void> {
  const end = ended(tx);
  tx.commit();
  return end;
}

export function asked<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(asFailure(request.error, "storage_failed"));
  });
}

/** What the contexts of one device tell each other about documents. A message may be lost; storage has it all. */

import type { EditName } from "../core/documents-core.ts";

export type DocumentMessage =
  | { readonly say: "edit"; readonly space: string; readonly key: string; readonly delta: Uint8Array }
  | { readonly say: "dropped"; readonly space: string; readonly key: string; readonly edit: EditName }
  | {
      readonly say: "changes";
      readonly space: string;
      /** The cursor before and after them. */
      readonly from: string | undefined;
      readonly to: string;
      readonly changes: readonly { readonly key: string; readonly body: Uint8Array }[];
    }
  /** States were replaced: read them again. */
  | { readonly say: "reload"; readonly space: string }
  /** To whoever pulls: this space is wanted, now. */
  | { readonly say: "pull"; readonly space: string };

export interface DocumentChannel {
  post(message: DocumentMessage): void;
  close(): void;
}

export function documentChannel(database: string, heard: (message: DocumentMessage) => void): DocumentChannel {
  if (typeof BroadcastChannel === "undefined") return { post: () => undefined, close: () => undefined };
  const channel = new BroadcastChannel(`${database}:documents`);
  channel.onmessage = ({ data }: MessageEvent<DocumentMessage>) => heard(data);
  return { post: (message) => channel.postMessage(message), close: () => channel.close() };
}

/** Resolves when this context is the one that pulls; `signal` gives the turn up. Without locks everybody is: pulls agree by storage. */
export async function leadership(database: string, signal: AbortSignal): Promise<void> {
  const locks = (globalThis.navigator as { locks?: LockManager } | undefined)?.locks;
  if (!locks) return;
  await new Promise<void>((resolve) => {
    const held = new Promise<void>((release) => signal.addEventListener("abort", () => release(), { once: true }));
    locks
      .request(`${database}:documents`, { signal }, () => {
        resolve();
        return held;
      })
      .catch(() => resolve()); // given up before it came
  });
}

/** Who lives, by Web Locks: the browser frees those of a context that is gone, however it went. */

import type { Presence } from "../core/ports.ts";

/**
 * Undefined where there are no Web Locks; a lease is then taken over when it is stale. A page that is put aside lets go of its
 * lock: it does not drain meanwhile, and with a lock it could not be brought back as it was (back/forward cache).
 */
export function lockPresence(database: string): Presence | undefined {
  const locks: LockManager | undefined = globalThis.navigator?.locks;
  if (!locks) return undefined;
  const listening = new AbortController();
  const nameOf = (epoch: bigint): string => `${database}:${epoch.toString(16)}`;
  let own: bigint | undefined;
  let release: (() => void) | undefined; // while the lock is held, or asked for
  let followed: { readonly owner: bigint; readonly gone: () => void } | undefined;
  let asking: AbortController | undefined;

  const letGo = (): void => {
    release?.();
    release = undefined;
    asking?.abort();
    asking = undefined;
  };
  const hold = (): void => {
    if (own === undefined || release) return;
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    locks.request(nameOf(own), () => held).catch(() => undefined); // refused: others wait until the lease is stale
  };
  const ask = (): void => {
    asking?.abort();
    if (!followed) return;
    const { owner, gone } = followed;
    asking = new AbortController();
    const { signal } = asking;
    // Refused or no longer wanted: the lease goes when it is stale.
    locks.request(nameOf(owner), { mode: "shared", signal }, () => undefined).then(gone, () => undefined);
  };
  const on = (source: EventTarget | undefined, name: string, act: () => void): void =>
    source?.addEventListener?.(name, act, { signal: listening.signal });
  const page = (globalThis as { readonly document?: EventTarget }).document; // a worker has none
  const back = (): void => {
    hold();
    if (!asking) ask();
  };
  on(globalThis, "pagehide", letGo);
  on(page, "freeze", letGo);
  on(globalThis, "pageshow", back);
  on(page, "resume", back);

  return {
    here(epoch) {
      release?.();
      release = undefined;
      own = epoch;
      hold();
    },
    follow(owner, gone) {
      followed = { owner, gone };
      ask();
    },
    close() {
      listening.abort();
      own = followed = undefined;
      letGo();
    },
  };
}

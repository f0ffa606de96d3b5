/** The one line every example shows about its queue, for people. */

import type { OfflineSync, SyncStatus } from "offline-ai-sync";

const WORDS: Partial<Record<SyncStatus["phase"], string>> = {
  offline: "you are offline",
  waiting: "the server cannot be reached",
  parked: "please sign in again",
};

function wordsOf({ pending, phase, storage }: SyncStatus): string {
  if (storage === "memory") return "This browser keeps nothing: do not close the page before all is sent.";
  if (pending === 0) return "Everything is saved and sent.";
  return `Saved on this device; ${pending} not sent yet${WORDS[phase] ? `: ${WORDS[phase]}` : ""}.`;
}

export function showSync(engine: OfflineSync, line: HTMLElement): void {
  const show = (status: SyncStatus): void => {
    line.textContent = wordsOf(status);
  };
  engine.status.subscribe(show);
  show(engine.status.get());
}

/** The few ways this page touches the document. */

import type { DevtoolsElement } from "offline-ai-sync/devtools";

export function element(id: "tools"): DevtoolsElement;
export function element<T extends HTMLElement>(id: string): T;
export function element<T extends HTMLElement>(id: string): T {
  const found = document.getElementById(id);
  if (!found) throw new Error(`no element #${id}`);
  return found as T;
}

export function setText(id: string, text: string | number): void {
  const target = element(id);
  if (target.textContent !== String(text)) target.textContent = String(text);
}

/** Replaces the rows of a table body; cells are text or ready-made nodes. */
export function setRows(id: string, rows: readonly (readonly (string | Node)[])[]): void {
  element(id).replaceChildren(
    ...rows.map((cells) => {
      const row = document.createElement("tr");
      for (const cell of cells) {
        const td = document.createElement("td");
        td.append(cell);
        row.append(td);
      }
      return row;
    }),
  );
}

export function button(label: string, action: () => void): HTMLButtonElement {
  const made = document.createElement("button");
  made.type = "button";
  made.textContent = label;
  made.addEventListener("click", action);
  return made;
}

/** One run of `work` at a time, and one more when it was asked for meanwhile. `failed` is told what went wrong. */
export function coalesced(work: () => Promise<unknown>, failed: (error: unknown) => void): () => Promise<void> {
  let running = false;
  let again = false;
  return async () => {
    again = true;
    if (running) return;
    running = true;
    while (again) {
      again = false;
      await work().catch(failed);
    }
    running = false;
  };
}

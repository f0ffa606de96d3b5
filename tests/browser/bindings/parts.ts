/** What each framework's page is handed, and what it gives back: the same view of the same parts, in its own form. */

import type { open } from "../../../js-glue/browser/index.ts";
import type { ContentCache } from "../../../js-glue/cache/index.ts";
import type { Collection } from "../../../js-glue/documents/index.ts";
import type { Models } from "../../../js-glue/models/index.ts";

export interface Todo {
  title?: string;
  note?: string;
}

export interface Parts {
  readonly engine: ReturnType<typeof open>;
  readonly todos: Collection<Todo>;
  readonly cache: Promise<ContentCache>;
  readonly models: Models;
}

export interface Mounted {
  /** Shows another document from now on. */
  show(id: string): void;
  unmount(): void;
  /** How often something was drawn. */
  drawn(): number;
}

export type Mount = (parts: Parts, root: HTMLElement) => Mounted;

export const FALLBACK = (): Promise<unknown> => Promise.resolve("lesson");
export const QUESTION = "what is my balance";

/** Values as the page shows them: one element each, JSON or a dash. */
export const text = (value: unknown): string => JSON.stringify(value) ?? "-";

/** What an application demands of the documents of a collection, beyond what their schema says. */

import { failure } from "../../core/errors.ts";
import { Reject } from "../handlers.ts";
import type { Tx } from "../store/database.ts";
import { collectionName, type DocumentName } from "./names.ts";
import { claimValues, type Space } from "./rows.ts";

/** Which document is edited, and by whom. */
export interface DocumentContext {
  readonly tenant: string;
  /** Who made the edit. */
  readonly principal: string;
  /** `~` = the principal's own. */
  readonly space: string;
  readonly collection: string;
  readonly id: string;
  /** As it was before the edit; undefined = it did not exist. */
  readonly before: unknown;
}

/** What documents of a collection must fulfil. */
export interface CollectionOptions {
  /**
   * Sees the document as it would be with the edit, never a deleted one. What it throws rejects the edit as
   * `invalid_document`, or with the code of a `Reject`. It must reach nothing but its arguments.
   */
  validate?(value: unknown, context: DocumentContext): unknown;
  /** JSON pointers of values that no other document of the collection may hold; only plain values are compared. */
  readonly unique?: readonly string[];
}

const POINTERS_MAX = 16;

export class Collections {
  readonly #byName = new Map<string, CollectionOptions>();

  /** Throws `invalid_argument` for a second set of rules and for what is no name or pointer. */
  set(name: string, options: CollectionOptions): void {
    if (!collectionName.safeParse(name).success) throw failure("invalid_argument", `${name} is no collection`);
    if (this.#byName.has(name)) throw failure("invalid_argument", `the rules of ${name} are set already`);
    const { unique = [] } = options;
    if (unique.length > POINTERS_MAX || unique.some((pointer) => !pointer.startsWith("/")))
      throw failure("invalid_argument", `unique names at most ${POINTERS_MAX} JSON pointers, each beginning with /`);
    this.#byName.set(name, options);
  }

  /** Throws `Reject` when the document as it would be breaks a rule. */
  async check(
    tx: Tx,
    space: Space,
    name: DocumentName,
    context: Omit<DocumentContext, "before">,
    json: string | undefined,
    before: string | null,
  ): Promise<void> {
    const options = this.#byName.get(name.collection);
    if (!options) return;
    const value: unknown = json === undefined ? undefined : JSON.parse(json);
    if (json !== undefined && options.validate) await validated(options, value, context, before);
    if (!options.unique) return;
    const values = options.unique.map((pointer) => [pointer, valueAt(value, pointer)] as const);
    if (!(await claimValues(tx, space, name, values)))
      throw new Reject("unique_violation", `another document of ${name.collection} holds the same value`);
  }
}

async function validated(
  { validate }: CollectionOptions,
  value: unknown,
  context: Omit<DocumentContext, "before">,
  before: string | null,
): Promise<void> {
  try {
    await validate?.(value, { ...context, before: before === null ? undefined : JSON.parse(before) });
  } catch (error) {
    if (error instanceof Reject) throw error;
    throw new Reject("invalid_document", error instanceof Error ? error.message : String(error));
  }
}

function valueAt(value: unknown, pointer: string): unknown {
  let at = value;
  for (const step of pointer.slice(1).split("/")) {
    if (typeof at !== "object" || at === null) return undefined;
    const name = step.replaceAll("~1", "/").replaceAll("~0", "~");
    at = Object.hasOwn(at, name) ? (at as { readonly [name: string]: unknown })[name] : undefined;
  }
  return at;
}

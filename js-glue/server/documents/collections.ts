/** What an application demands of the documents of a collection, beyond what their schema says. */

import { failure } from "../../core/errors.ts";
import { Reject } from "../handlers.ts";
import type { Tx } from "../store/database.ts";
import { counted } from "./counted.ts";
import type { MergeFunction } from "./functions.ts";
import { collectionName, type DocumentName } from "./names.ts";
import { claimValues, type Space, takenValues, type UniqueValue } from "./rows.ts";

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

/**
 * Whether a document is as it must be: false, or whatever is thrown, says no. Pure, and at once: it sees a frozen document, may
 * look at 100,000 places of it, and a promise is a no.
 */
export type Validator = (value: unknown, context: DocumentContext) => unknown;

/** What documents of a collection must fulfil. */
export interface CollectionOptions {
  /**
   * May this edit be made at all? Sees the document as it would be with the edit, never a deleted one. What it throws rejects
   * the whole edit as `invalid_document`, or with the code of a `Reject`. It must reach nothing but its arguments.
   */
  validate?(value: unknown, context: DocumentContext): unknown;
  /**
   * By name: what a merged document must fulfil, whoever wrote which part of it. The smallest group of an edit's operations that
   * breaks one is put on hold as a `manual` conflict with that name; the rest of the edit is applied.
   */
  readonly validators?: Readonly<Record<string, Validator>>;
  /**
   * JSON pointers of values that no other document of the collection may hold; only plain values are compared. Who reached the
   * server first keeps the value; operations that would take it, too, are put on hold.
   */
  readonly unique?: readonly string[];
  /** By name: what `fn:<name>` in the schema of the collection asks. Without one of that name the place waits for a person. */
  readonly functions?: Readonly<Record<string, MergeFunction>>;
}

const POINTERS_MAX = 16;
const VALIDATORS_MAX = 32;
const FUNCTION_NAME = /^[A-Za-z0-9_.-]{1,64}$/;
const VALIDATOR_NAME = /^[A-Za-z0-9_. -]{1,64}$/;
/** Places of a document that a validator may look at. */
const STEPS_MAX = 100_000;

/** What is asked of one document while an edit is judged. */
export interface Asked {
  readonly tx: Tx;
  readonly space: Space;
  readonly name: DocumentName;
  readonly context: Omit<DocumentContext, "before">;
  /** JSON text of the document before the edit. */
  readonly before: string | null;
}

export class Collections {
  readonly #byName = new Map<string, CollectionOptions>();

  /** Throws `invalid_argument` for a second set of rules and for what is no name or pointer. */
  set(name: string, options: CollectionOptions): void {
    if (!collectionName.safeParse(name).success) throw failure("invalid_argument", `${name} is no collection`);
    if (this.#byName.has(name)) throw failure("invalid_argument", `the rules of ${name} are set already`);
    const { unique = [], validators = {} } = options;
    if (unique.length > POINTERS_MAX || unique.some((pointer) => !pointer.startsWith("/")))
      throw failure("invalid_argument", `unique names at most ${POINTERS_MAX} JSON pointers, each beginning with /`);
    const names = Object.keys(validators);
    if (names.length > VALIDATORS_MAX || names.some((one) => !VALIDATOR_NAME.test(one)))
      throw failure(
        "invalid_argument",
        `at most ${VALIDATORS_MAX} validators, named by letters, digits, _ . - and spaces`,
      );
    if (Object.keys(options.functions ?? {}).some((one) => !FUNCTION_NAME.test(one)))
      throw failure("invalid_argument", "merge functions are named by letters, digits, _ . and -");
    this.#byName.set(name, options);
  }

  /** Which rule the document as it would be breaks, in the words of a conflict record; undefined = none. */
  async broken(asked: Asked, json: string | undefined): Promise<string | undefined> {
    const options = this.#byName.get(asked.name.collection);
    if (!options || json === undefined) return undefined;
    for (const [name, validator] of Object.entries(options.validators ?? {}))
      if (!(await holds(validator, json, asked))) return `R28 ${name}`;
    const { tx, space, name } = asked;
    const taken = await takenValues(tx, space, name, uniqueValues(options, json));
    return taken === undefined ? undefined : `R29 unique ${taken}`;
  }

  /** The merge function of this name; undefined = there is none. */
  mergeFunction(collection: string, name: string): MergeFunction | undefined {
    const functions = this.#byName.get(collection)?.functions;
    return functions && Object.hasOwn(functions, name) ? functions[name] : undefined;
  }

  hasFunctions(collection: string): boolean {
    return this.#byName.get(collection)?.functions !== undefined;
  }

  /** Throws `Reject` when the edit may not be made; else its document holds its unique values from now on. */
  async admit(asked: Asked, json: string | undefined): Promise<void> {
    const { tx, space, name } = asked;
    const options = this.#byName.get(name.collection);
    if (!options) return;
    if (json !== undefined && options.validate) await validated(options, json, asked);
    if (options.unique) await claimValues(tx, space, name, uniqueValues(options, json));
  }
}

const contextOf = ({ context, before }: Asked): DocumentContext => ({
  ...context,
  before: before === null ? undefined : JSON.parse(before),
});

async function holds(validator: Validator, json: string, asked: Asked): Promise<boolean> {
  try {
    const said = validator(counted(JSON.parse(json), STEPS_MAX), contextOf(asked));
    return said !== false && !(said instanceof Promise);
  } catch {
    return false; // what it throws is its way to say no
  }
}

async function validated({ validate }: CollectionOptions, json: string, asked: Asked): Promise<void> {
  try {
    await validate?.(JSON.parse(json), contextOf(asked));
  } catch (error) {
    if (error instanceof Reject) throw error;
    throw new Reject("invalid_document", error instanceof Error ? error.message : String(error));
  }
}

function uniqueValues({ unique = [] }: CollectionOptions, json: string | undefined): readonly UniqueValue[] {
  const value: unknown = json === undefined ? undefined : JSON.parse(json);
  return unique.map((pointer) => [pointer, valueAt(value, pointer)] as const);
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

/**
 * The phrases behind an application's own classifiers. They are the model: whoever has them fits it again, to the same weights.
 * They lie on this device alone, or in documents, which the user's other devices have too.
 */

import { failure } from "../core/errors.ts";
import type { Store } from "../core/ports.ts";
import type { FitOptions, IntentExample } from "../runtimes/core-kernels.ts";
import { jsonBytes, modelKey, readJson } from "./blobs.ts";

/** What one classifier was fitted from. */
export interface FittedIntent {
  readonly examples: readonly IntentExample[];
  readonly options: FitOptions;
}

/** What `withDocuments(engine).collection("intents")` is, as far as models use it: one document a classifier, by name. */
export interface FittedCollection {
  /** What `name` was fitted from; undefined when nobody has. */
  get(name: string): Promise<FittedIntent | undefined>;
  /** Replaces it. */
  put(name: string, fitted: FittedIntent): Promise<unknown>;
  /** Forgets it, on every device. */
  delete(name: string): Promise<unknown>;
  /** Every classifier there is. */
  list(): Promise<readonly { readonly id: string }[]>;
  /** Called when one has changed; `origin` is `local` for changes made here. The result ends it. */
  subscribe(changed: (change: { readonly id: string; readonly origin: string }) => void): () => void;
}

const EXAMPLES_BYTES_MAX = 40_000;

/** Throws `limit_exceeded` above 40 kB of JSON. */
export function checkFitted(fitted: FittedIntent): void {
  if (jsonBytes(fitted).length > EXAMPLES_BYTES_MAX)
    throw failure("limit_exceeded", "the examples are too large", { detail: EXAMPLES_BYTES_MAX });
}

const isOptional = (value: unknown, type: string): boolean =>
  value === undefined || (typeof value === type && (type !== "number" || Number.isFinite(value)));

/** A document may hold anything: others write it too. Throws `malformed` for what no fit was made from. */
export function readFitted(value: unknown): FittedIntent {
  const { examples, options = {} } = (value ?? {}) as Partial<Record<keyof FittedIntent, unknown>>;
  const { seed, threshold, fromScratch } = (options ?? {}) as Partial<Record<keyof FitOptions, unknown>>;
  const isExample = (one: unknown): one is IntentExample =>
    typeof (one as IntentExample | null)?.text === "string" && typeof (one as IntentExample).label === "string";
  const isFit = isOptional(seed, "number") && isOptional(threshold, "number") && isOptional(fromScratch, "boolean");
  if (!Array.isArray(examples) || !examples.every(isExample) || !isFit)
    throw failure("malformed", "these are no phrases of a classifier");
  const fitted = { examples, options: options as FitOptions };
  checkFitted(fitted);
  return fitted;
}

/** Where the phrases lie. */
export interface FittedShelf {
  read(name: string): Promise<FittedIntent | undefined>;
  write(name: string, fitted: FittedIntent): Promise<void>;
  erase(): Promise<void>;
}

const fitKey = (name: string): Uint8Array => modelKey("i", name);
const ALL_FITS = { from: new TextEncoder().encode("oi"), to: new TextEncoder().encode("oj") };

/** On this device alone. */
export const storedFits = (open: () => Promise<Store>): FittedShelf => ({
  async read(name) {
    return (await readJson(await open(), fitKey(name)))?.value as FittedIntent | undefined;
  },
  async write(name, fitted) {
    const puts = [{ key: fitKey(name), value: jsonBytes(fitted) }];
    await (await open()).commit({ level: "durable", expects: [], deletes: [], puts });
  },
  async erase() {
    await (await open()).commit({ level: "strict", expects: [], deletes: [ALL_FITS], puts: [] });
  },
});

/** In documents; erasing deletes them for everybody. */
export const sharedFits = (intents: FittedCollection): FittedShelf => ({
  async read(name) {
    const value = await intents.get(name);
    return value === undefined ? undefined : readFitted(value);
  },
  async write(name, fitted) {
    await intents.get(name); // the whole list is replaced, not merged into what nobody here has seen
    await intents.put(name, fitted);
  },
  async erase() {
    for (const { id } of await intents.list()) await intents.delete(id);
  },
});

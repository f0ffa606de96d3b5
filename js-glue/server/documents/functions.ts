/**
 * Merge functions of the application: `fn:<name>` in a schema. The server asks them where a conflict arises, in the edit's own
 * transaction, and tells the answer to everybody as a change that covers all sides. So replicas need no function to agree.
 */

import { createHash } from "node:crypto";
import type { ConflictRecord } from "../../core/documents-core.ts";
import { counted } from "./counted.ts";

/** What the sides of a conflict look like to a merge function. */
export interface MergeCall {
  /** The last agreed value; undefined = there was none. */
  readonly base: unknown;
  /** What each side wrote, in an order that does not depend on who was first. */
  readonly siblings: readonly unknown[];
}

/**
 * The value that is shown. Pure, and at once: it may look at 100,000 places of what it is given and change none of them. What
 * throws, answers undefined or a promise, or more than 100,000 characters of JSON, has no answer: the place waits for a person.
 */
export type MergeFunction = (call: MergeCall) => unknown;

const STEPS_MAX = 100_000;
const ANSWER_CHARS_MAX = 100_000;

interface ReadRecord {
  readonly policySource?: string;
  readonly base?: unknown;
  readonly siblings: readonly { readonly value?: unknown }[];
}

/** The function a failed conflict asks for, by the schema that made it; undefined when it asks for none. */
export function askedFunction(record: ConflictRecord, schema: string): string | undefined {
  if (record.class !== "failed" || schema === "") return undefined;
  const { policySource = "" } = JSON.parse(record.json) as ReadRecord;
  const words: unknown = (JSON.parse(schema) as Readonly<Record<string, unknown>>)[policySource];
  if (typeof words !== "string") return undefined;
  return words
    .split(" ")
    .findLast((word) => word.startsWith("fn:"))
    ?.slice(3);
}

/** JSON text; undefined when the function has no answer. */
export function answerOf(merge: MergeFunction, record: ConflictRecord): string | undefined {
  const { base, siblings } = JSON.parse(record.json) as ReadRecord;
  try {
    const call = counted({ base, siblings: siblings.map(({ value }) => value) }, STEPS_MAX) as MergeCall;
    const answer = merge(call);
    if (answer instanceof Promise) return undefined;
    const text = JSON.stringify(answer) as string | undefined;
    return text !== undefined && text.length <= ANSWER_CHARS_MAX ? text : undefined;
  } catch {
    return undefined; // no answer is an answer, too: a person decides
  }
}

/** Whoever asks the same function about the same sides answers under the same number. */
export function answerEpoch(space: string, key: string, { id }: ConflictRecord, name: string): bigint {
  const hash = createHash("sha256").update(JSON.stringify(["oas-function", space, key, id, name]));
  const epoch = hash.digest().readBigUInt64LE();
  return epoch === 0n ? 1n : epoch;
}

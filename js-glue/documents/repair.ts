/**
 * After a restore: what the server has lost and this device still has is offered to it, whoever wrote it, before the server's
 * snapshot takes its place here. What this device wrote itself it sends again as events, too; by its numbers it counts once.
 */

import type { FetchTransport } from "../browser/transport.ts";
import { toBase64 } from "../core/bytes.ts";
import { type DocumentsCore, EMPTY_STATE } from "../core/documents-core.ts";
import { asFailure, failure } from "../core/errors.ts";
import { answerOf, foreign, jsonOf, refusalOf, TIMEOUT_MS } from "./asking.ts";
import { type DocumentName, entityOf } from "./names.ts";
import type { Shelf } from "./shelf.ts";

const PATH = "/sync/repair";
/** Of one request; the server takes no more. */
const DOCUMENTS_MAX = 100;
const CHARS_MAX = 1_000_000;

export interface RepairOptions {
  readonly transport: FetchTransport;
  readonly shelf: Shelf;
  readonly core: DocumentsCore;
  readonly deviceId: string;
  /** Told of what the server would not take. */
  readonly failed: (error: Error) => void;
}

export interface Snapshot {
  readonly space: string;
  /** Where this device stood before. */
  readonly before: string;
  /** The snapshot's own. */
  readonly cursor: string;
  /** The last change that both histories have. */
  readonly shared: number;
  readonly states: readonly { readonly name: DocumentName; readonly state: Uint8Array }[];
}

interface Offer {
  readonly key: string;
  readonly delta: string;
}

/**
 * Resolves when the server has everything it wants, with whether it took something. Rejects when it should be asked again; nothing
 * here has changed then.
 */
export async function repair(options: RepairOptions, snapshot: Snapshot): Promise<boolean> {
  let taken = 0;
  let offers: Offer[] = [];
  let chars = 0;
  for await (const offer of lost(options, snapshot)) {
    if (offers.length >= DOCUMENTS_MAX || chars + offer.delta.length > CHARS_MAX) {
      taken += await send(options, snapshot, offers);
      offers = [];
      chars = 0;
    }
    offers.push(offer);
    chars += offer.delta.length;
  }
  if (offers.length > 0) taken += await send(options, snapshot, offers);
  return taken > 0;
}

async function* lost(
  { shelf, core, failed }: RepairOptions,
  { space, states, shared }: Snapshot,
): AsyncGenerator<Offer> {
  const now = new Map(states.map(({ name, state }) => [entityOf(name), state]));
  for (const name of await shelf.acceptedNames(space)) {
    const { accepted } = await shelf.load(name);
    try {
      const delta = core.lost(accepted, now.get(entityOf(name)) ?? EMPTY_STATE, shared);
      if (delta.length > 0) yield { key: name.key, delta: toBase64(delta) };
    } catch (error) {
      if (core.dead) throw error;
      failed(asFailure(error, "internal")); // what cannot be read here can be offered to nobody; the snapshot replaces it
    }
  }
}

/** How many of them were taken. */
async function send(
  { transport, deviceId, failed }: RepairOptions,
  { space, before, cursor }: Snapshot,
  documents: readonly Offer[],
): Promise<number> {
  const body = { space, deviceId, cursor: before, snapshot: cursor, documents };
  const response = await answerOf(transport, () => transport.post(PATH, body, TIMEOUT_MS));
  if (!response.ok) {
    const isFinal = isOurs(response) && !passes(response.status);
    const refusal = await refusalOf(PATH, response);
    if (!isFinal) throw refusal;
    // A reader's, or a server without the route: it will not take them later, either, and the snapshot counts.
    failed(refusal);
    return 0;
  }
  const { taken, refused } = ((await jsonOf(response)) ?? {}) as Record<string, unknown>;
  if (typeof taken !== "number" || !Array.isArray(refused)) throw foreign();
  const [first] = refused as readonly { readonly key?: unknown; readonly code?: unknown }[];
  if (first) failed(failure("rejected", `a restored server did not take ${first.key} back: ${first.code}`));
  return taken;
}

/** Not a page of something in between, which must not cost anybody his work. */
const isOurs = (response: Response): boolean =>
  response.headers.get("content-type")?.startsWith("application/problem+json") ?? false;

/** Another time it may be answered otherwise; 410: restored once more since the snapshot was read. */
const passes = (status: number): boolean =>
  status === 401 || status === 408 || status === 410 || status === 429 || status >= 500;

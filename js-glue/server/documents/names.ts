/** How documents and spaces are named on the wire and in rows. */

import { z } from "zod";

/** The event that carries one edit. */
export const DOCUMENT_EVENT = "oas:document";
/** On the wire: the principal's own space, whoever asks. */
export const OWN_SPACE = "~";
const SCHEMA_COLLECTION = "$schema";

export const spaceName = z.string().regex(/^(~|[A-Za-z0-9_.:-]{1,64})$/, "is no space");
export const sharedSpaceName = z.string().regex(/^[A-Za-z0-9_.:-]{1,64}$/, "is no name of a shared space");
export const collectionName = z.string().regex(/^[A-Za-z0-9_$-]{1,64}$/, "is no collection");
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what an id may not hold
const documentId = z.string().regex(/^[^/\u0000-\u001f\u007f]{1,128}$/, "is no document id");

/** `collection/id`. */
export const documentKey = z.string().refine((key) => {
  const { collection, id } = nameOfKey(key);
  return collectionName.safeParse(collection).success && documentId.safeParse(id).success;
}, "is no key of a document");

/** Parts of one edit. */
const PARTS_MAX = 40;

/** Says that `delta` is one of several pieces of an edit, which its first dot names; all of one edit come from one device. */
const partOfEdit = z
  .object({
    edit: z.string().regex(/^[0-9a-f]{1,16}\.[0-9]{1,16}$/, "is no name of an edit"),
    k: z.number().int().min(1),
    of: z.number().int().min(2).max(PARTS_MAX),
  })
  .refine(({ k, of }) => k <= of, "k is at most of");

export type PartOfEdit = z.infer<typeof partOfEdit>;

export const documentEvent = z.object({
  space: spaceName,
  collection: collectionName,
  id: documentId,
  delta: z.base64(),
  part: partOfEdit.optional(),
  /** The device asks to put all of it on hold: it would undo what others did while the device was away. */
  hold: z.literal(true).optional(),
});

export interface DocumentName {
  readonly collection: string;
  readonly id: string;
  /** Unique in its space. */
  readonly key: string;
}

export const nameOf = (collection: string, id: string): DocumentName => ({
  collection,
  id,
  key: `${collection}/${id}`,
});

export function nameOfKey(key: string): DocumentName {
  const at = key.indexOf("/");
  return { collection: key.slice(0, at), id: key.slice(at + 1), key };
}

export const schemaKey = (collection: string): string => `${SCHEMA_COLLECTION}/${collection}`;

/** What rows call the space. A shared one cannot begin with `~`, so nobody can name another's own space. */
export const spaceIdOf = (space: string, principal: string): string => (space === OWN_SPACE ? `~${principal}` : space);
/** Whose own space it is; undefined = a shared one. */
export const ownerOf = (spaceId: string): string | undefined =>
  spaceId.startsWith(OWN_SPACE) ? spaceId.slice(OWN_SPACE.length) : undefined;
export const shownSpace = (spaceId: string): string => (spaceId.startsWith(OWN_SPACE) ? OWN_SPACE : spaceId);

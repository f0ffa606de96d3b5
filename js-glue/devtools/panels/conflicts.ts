/** Edits that met: what both sides had agreed on, what each made of it, why one is shown, and how to choose another. */

import { type ComponentChild, h } from "preact";
import type { Collection, Conflict } from "../../documents/collection.ts";
import type { Documents } from "../../documents/documents.ts";
import type { PanelProps } from "../app.ts";
import { type Acting, useActing, useLive } from "../hooks.ts";
import { badge, button, empty, figures, outcome, quiet, short, text } from "../view.ts";

const SHOWN_MAX = 20;
const DOCUMENTS_MAX = 500; // each one looked at is opened

/** What a person has to decide comes first. */
const ORDER = ["manual", "failed", "lossy", "lossless"] as const;
const CLASSES: Readonly<Record<Conflict["class"], readonly ["good" | "warn" | "bad", string]>> = {
  manual: ["bad", "a person decides"],
  failed: ["bad", "a rule failed, a person decides"],
  lossy: ["warn", "decided, one side lost"],
  lossless: ["good", "merged, nothing lost"],
};

interface Found {
  readonly of: Collection;
  readonly conflict: Conflict;
}

async function find(documents: Documents): Promise<readonly Found[]> {
  const collections = new Map<string, Collection>();
  let looked = 0;
  for await (const { space, collection } of documents.everything()) {
    if (!collection.startsWith("$"))
      collections.set(`${space}/${collection}`, documents.collection(collection, { space }));
    if (++looked >= DOCUMENTS_MAX) break;
  }
  const lists = await Promise.all(
    [...collections.values()].map(async (of) => (await of.conflicts.list()).map((conflict) => ({ of, conflict }))),
  );
  return lists.flat().sort((a, b) => ORDER.indexOf(a.conflict.class) - ORDER.indexOf(b.conflict.class));
}

const same = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b);

interface Side {
  readonly title: string;
  readonly value: unknown;
  readonly shown: boolean;
  /** Nothing to choose. */
  readonly absent?: boolean;
}

/** The agreed value, then the sides: those made by this very page are mine. */
function sidesOf(conflict: Conflict, isMine: (epoch: string) => boolean): readonly Side[] {
  const { base, winner, siblings } = conflict;
  const visible = conflict.class === "manual" || conflict.class === "failed" ? base : winner;
  const epochs = siblings.map((side) => String((side as { readonly epoch?: unknown }).epoch));
  const known = epochs.some(isMine);
  const title = (i: number): string => (known ? (isMine(epochs[i] ?? "") ? "Mine" : "Theirs") : `Side ${i + 1}`);
  const sides = siblings.map(({ value }, i) => ({ title: title(i), value, shown: same(value, visible) }));
  sides.sort((a, b) => a.title.localeCompare(b.title)); // mine before theirs
  return [{ title: "Before", value: base, shown: same(base, visible), absent: base === undefined }, ...sides];
}

interface CardProps extends Found {
  readonly allowed: boolean;
  readonly acting: Acting;
  readonly isMine: (epoch: string) => boolean;
}

function Card({ of, conflict, allowed, acting, isMine }: CardProps): ComponentChild {
  const { documentId, id, path, rule, siblings } = conflict;
  const [tone, words] = CLASSES[conflict.class];
  const place = `${conflict.collection}/${short(documentId, 24)}${path}`;
  const { busy: disabled } = acting;
  const take = (value: unknown): void =>
    acting.act(() => of.conflicts.resolve(documentId, id, value), "Settled for everybody.");
  return h(
    "li",
    { class: "card" },
    h("div", { class: "line" }, h("strong", null, place), badge(tone, words)),
    quiet(`Rule: ${rule}${conflict.provisional ? ". The server has not numbered every side yet." : ""}`),
    h(
      "dl",
      { class: "sides" },
      sidesOf(conflict, isMine).map(({ title, value, shown, absent }, i) =>
        h(
          "div",
          { key: i, class: shown ? "side shown" : "side" },
          h("dt", null, title, shown ? " (shown now)" : ""),
          h("dd", null, absent ? "(nothing)" : short(text.value(value), 200)),
          allowed && !absent
            ? h(
                "dd",
                null,
                button("Take this", () => take(value), { disabled, says: `Take ${title} of ${place}` }),
              )
            : null,
        ),
      ),
    ),
    allowed && conflict.class === "lossy" && siblings.length > 1
      ? button("Undo: the other side", () => acting.act(() => of.conflicts.undo(documentId, id), "Undone."), {
          ...{ disabled, says: `Undo ${place}` },
        })
      : null,
  );
}

export function ConflictsPanel({ documents, allowed }: PanelProps): ComponentChild {
  const { value, trouble, refresh } = useLive(
    async () => (documents ? find(documents) : []),
    (changed) => documents?.subscribe(changed),
    [documents],
  );
  const acting = useActing(refresh);
  if (!documents) return null;
  const found = value ?? [];
  const count = (...classes: readonly Conflict["class"][]): string =>
    text.count(found.filter(({ conflict }) => classes.includes(conflict.class)).length);
  return h(
    "div",
    null,
    figures([
      ["for a person", count("manual", "failed")],
      ["one side lost", count("lossy")],
      ["nothing lost", count("lossless")],
    ]),
    found.length === 0 && value
      ? empty("No two edits have met. Take two devices offline, change the same field on both, come back.")
      : null,
    h(
      "ul",
      { class: "cards" },
      found.slice(0, SHOWN_MAX).map(({ of, conflict }) =>
        h(Card, {
          ...{ of, conflict, allowed, acting, key: `${of.space}/${of.name}/${conflict.documentId}/${conflict.id}` },
          isMine: (epoch: string) => documents.isOwn(epoch),
        }),
      ),
    ),
    found.length > SHOWN_MAX ? quiet(`and ${text.counted(found.length - SHOWN_MAX, "more conflict")}`) : null,
    outcome(acting, trouble),
  );
}

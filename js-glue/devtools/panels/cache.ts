/** What is kept for the time without a network, how often it helped, and what would go if there were less room. */

import { type ComponentChild, h } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { CachedItem, ContentCache } from "../../cache/content-cache.ts";
import type { PanelProps } from "../app.ts";
import { inWords, useActing, useLive } from "../hooks.ts";
import { badge, button, empty, figures, outcome, quiet, type Row, short, table, text } from "../view.ts";

const SHOWN_MAX = 100;
const LOOK_MS = 2_000; // the cache has no news of its own
const STEPS = 100;

const keyOf = ({ contentType, contentId }: CachedItem): string => `${contentType}/${contentId}`;

function rowOf(item: CachedItem, gone: boolean): Row {
  const left = item.expiresAt === undefined ? undefined : item.expiresAt - Date.now();
  return {
    key: keyOf(item),
    class: gone ? "gone" : "",
    cells: [
      `${item.contentType}/${short(item.contentId, 40)}`,
      item.pinned ? `${item.priority}, pinned` : String(item.priority),
      text.count(item.hits),
      left === undefined ? "never" : left <= 0 ? "expired" : `in ${text.span(left)}`,
      text.bytes(item.stored),
      item.sealed ? badge("good", "encrypted") : badge("warn", "in the clear"),
      gone ? "would go" : "stays",
    ],
  };
}

/** The keys of the items that would go at this many bytes, asked of the policy itself. */
function useVictims(cache: ContentCache | undefined, bytes: number | undefined, items: readonly CachedItem[]) {
  const [victims, setVictims] = useState<ReadonlySet<string>>(new Set());
  const [trouble, setTrouble] = useState("");
  useEffect(() => {
    if (!cache || bytes === undefined) return setVictims(new Set());
    let over = false;
    cache.victimsAt(bytes).then(
      (found) => (over ? undefined : setVictims(new Set(found.map(keyOf)))),
      (error: unknown) => setTrouble(inWords(error)),
    );
    return () => {
      over = true;
    };
  }, [cache, bytes, items]);
  return { victims, trouble };
}

export function CachePanel({ cache, allowed }: PanelProps): ComponentChild {
  const { value, trouble, refresh } = useLive(
    async () => (cache ? cache.list() : []),
    (changed) => {
      const timer = setInterval(changed, LOOK_MS);
      return () => clearInterval(timer);
    },
    [cache],
  );
  const acting = useActing(refresh);
  const [share, setShare] = useState(STEPS);
  const items = value ?? [];
  const held = items.reduce((sum, { stored }) => sum + stored, 0);
  const room = Math.floor((held * share) / STEPS);
  const { victims, trouble: rehearsal } = useVictims(cache, share < STEPS ? room : undefined, items);
  if (!cache) return null;
  const { hits, misses, budgetBytes } = cache.figures;
  const asked = hits + misses;
  return h(
    "div",
    null,
    figures([
      ["items", text.count(items.length)],
      ["on disk", `${text.bytes(held)} of ${text.bytes(budgetBytes)}`],
      ["answered from here", asked === 0 ? "–" : `${Math.round((hits / asked) * 100)} % of ${text.count(asked)}`],
    ]),
    items.length === 0
      ? empty("Nothing is cached. Items show up here with cacheContent or cachedContent.")
      : h(
          "label",
          { class: "slider" },
          `If there were room for ${text.bytes(room)} (${share} % of what is held), ${text.counted(victims.size, "item")} would go`,
          h("input", {
            ...{ type: "range", min: 0, max: STEPS, value: share },
            onInput: (event: Event) => setShare(Number((event.currentTarget as HTMLInputElement).value)),
          }),
        ),
    allowed && victims.size > 0
      ? button(
          `Give up ${text.counted(victims.size, "item")}`,
          () => acting.act(() => cache.shrinkTo(room).then(() => setShare(STEPS)), "Given up."),
          { look: "danger", disabled: acting.busy },
        )
      : null,
    items.length > 0
      ? table(
          "Cached items",
          ["item", "priority", "hits", "expires", "size", "on disk", "at this room"],
          items.slice(0, SHOWN_MAX).map((item) => rowOf(item, victims.has(keyOf(item)))),
        )
      : null,
    items.length > SHOWN_MAX ? quiet(`and ${text.counted(items.length - SHOWN_MAX, "more item")}`) : null,
    outcome(acting, trouble || rehearsal),
  );
}

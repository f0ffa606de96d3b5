/** The tabs, and which panels there are. */

import { type ComponentChild, type FunctionComponent, h } from "preact";
import { useRef, useState } from "preact/hooks";
import type { OfflineSync } from "../browser/client.ts";
import type { ContentCache } from "../cache/content-cache.ts";
import type { Documents } from "../documents/documents.ts";
import { useLive, useStatus } from "./hooks.ts";
import { CachePanel } from "./panels/cache.ts";
import { ConflictsPanel } from "./panels/conflicts.ts";
import { DeadLettersPanel } from "./panels/dead-letters.ts";
import { MetricsPanel } from "./panels/metrics.ts";
import { PrivacyPanel } from "./panels/privacy.ts";
import { QueuePanel } from "./panels/queue.ts";
import { StoragePanel } from "./panels/storage.ts";
import { TimelinePanel } from "./panels/timeline.ts";
import type { Records } from "./records.ts";
import type { Timeline } from "./timeline.ts";
import { text } from "./view.ts";

/** What every panel is given. */
export interface PanelProps {
  readonly engine: OfflineSync;
  readonly documents: Documents | undefined;
  readonly cache: ContentCache | undefined;
  readonly timeline: Timeline;
  /** Rejects where their file cannot be loaded. */
  readonly records: Promise<Records>;
  /** Buttons that change something are there. */
  readonly allowed: boolean;
}

interface Tab {
  readonly id: string;
  readonly title: string;
  readonly panel: FunctionComponent<PanelProps>;
  readonly there?: (props: PanelProps) => boolean;
  readonly count?: FunctionComponent<Pick<PanelProps, "engine">>;
}

const LOOK_MS = 2_000;

const TABS: readonly Tab[] = [
  { id: "queue", title: "Queue", panel: QueuePanel, count: QueueCount },
  { id: "dead-letters", title: "Dead letters", panel: DeadLettersPanel, count: LetterCount },
  { id: "timeline", title: "Timeline", panel: TimelinePanel },
  { id: "metrics", title: "Metrics", panel: MetricsPanel },
  { id: "conflicts", title: "Conflicts", panel: ConflictsPanel, there: ({ documents }) => documents !== undefined },
  { id: "cache", title: "Cache", panel: CachePanel, there: ({ cache }) => cache !== undefined },
  { id: "storage", title: "Storage", panel: StoragePanel },
  { id: "privacy", title: "Privacy", panel: PrivacyPanel },
];

const STEPS: Readonly<Record<string, (at: number, count: number) => number>> = {
  ArrowRight: (at, count) => (at + 1) % count,
  ArrowLeft: (at, count) => (at + count - 1) % count,
  Home: () => 0,
  End: (_, count) => count - 1,
};

const count = (words: string): ComponentChild => (words === "0" ? null : h("span", { class: "count" }, words));

function QueueCount({ engine }: Pick<PanelProps, "engine">): ComponentChild {
  return count(text.count(useStatus(engine).pending));
}

/** What is there now; the status counts every refusal there ever was. */
function LetterCount({ engine }: Pick<PanelProps, "engine">): ComponentChild {
  const { value } = useLive(
    () => engine.deadLetters.list(),
    (changed) => {
      const leave = engine.status.subscribe(changed);
      const timer = setInterval(changed, LOOK_MS); // a letter that is dropped changes no status
      return () => {
        leave();
        clearInterval(timer);
      };
    },
    [engine],
  );
  return count(`${value?.items.length ?? 0}${value?.next ? "+" : ""}`);
}

function Tabs({ first, ...props }: PanelProps & { readonly first: string }): ComponentChild {
  const tabs = TABS.filter(({ there }) => there?.(props) ?? true);
  const [chosen, choose] = useState(first);
  const list = useRef<HTMLDivElement>(null);
  const at = Math.max(
    0,
    tabs.findIndex(({ id }) => id === chosen),
  );
  const { id, panel } = tabs[at] as Tab;
  const step = (event: KeyboardEvent): void => {
    const next = tabs[STEPS[event.key]?.(at, tabs.length) ?? -1];
    if (!next) return;
    event.preventDefault();
    choose(next.id);
    list.current?.querySelector<HTMLElement>(`#tab-${next.id}`)?.focus();
  };
  return h(
    "div",
    { class: "devtools" },
    h(
      "div",
      { class: "tabs", role: "tablist", "aria-label": "Offline AI Sync devtools", ref: list, onKeyDown: step },
      tabs.map((tab) =>
        h(
          "button",
          {
            ...{ type: "button", role: "tab", id: `tab-${tab.id}`, key: tab.id },
            "aria-selected": tab.id === id,
            "aria-controls": "panel",
            tabIndex: tab.id === id ? 0 : -1,
            onClick: () => choose(tab.id),
          },
          tab.title,
          tab.count ? h(tab.count, { engine: props.engine }) : null,
        ),
      ),
    ),
    h(
      "div",
      { class: "panel", role: "tabpanel", id: "panel", "aria-labelledby": `tab-${id}`, tabIndex: 0 },
      h(panel, { ...props, key: id }),
    ),
  );
}

interface AppProps extends Omit<PanelProps, "engine" | "records"> {
  readonly engine: OfflineSync | undefined;
  readonly records: Promise<Records> | undefined;
  readonly first: string;
}

export function App({ engine, records, ...props }: AppProps) {
  if (!engine || !records)
    return h("p", { class: "empty" }, "Set this element's property `engine` to what open() returned.");
  return h(Tabs, { ...props, engine, records, key: engine.inspect().database });
}

/** What waits here: which events, in which stream, and when the engine tries again. */

import { type ComponentChild, h } from "preact";
import type { ListedEvent } from "../../core/pages.ts";
import { parseEventId } from "../../core/verdicts.ts";
import type { PanelProps } from "../app.ts";
import { useActing, useLive, useSeconds, useStatus } from "../hooks.ts";
import { badge, button, empty, figures, outcome, quiet, type Row, short, table, text } from "../view.ts";

const SHOWN_MAX = 50;
const RECORDS = 5; // each may hold many events

const PHASES: Readonly<Record<string, readonly ["good" | "warn" | "bad" | "", string]>> = {
  starting: ["", "starting"],
  idle: ["good", "nothing to do"],
  sending: ["good", "sending"],
  following: ["", "another tab or the worker sends"],
  waiting: ["warn", "waiting for the next try"],
  offline: ["warn", "offline"],
  parked: ["bad", "waits for you to sign in"],
  stopped: ["bad", "stopped"],
};

/** The number of an event in its stream: (context, lane) number. */
function placeOf(id: string): string {
  const at = parseEventId(id);
  return at ? `${at.epoch.toString(16).padStart(16, "0").slice(0, 4)}… № ${at.seq}` : id;
}

function rowOf(event: ListedEvent): Row {
  const bytes = new TextEncoder().encode(JSON.stringify(event.eventData)).length;
  const cells = [
    h("span", { class: `lane ${event.lane}` }, event.lane),
    event.eventType,
    short(event.entity || "–", 40),
    h("span", { title: event.id }, placeOf(event.id)),
    text.bytes(bytes),
    text.span(Date.now() - event.createdAt),
  ];
  return { key: event.id, cells };
}

export function QueuePanel({ engine, allowed }: PanelProps): ComponentChild {
  const status = useStatus(engine);
  const { value, trouble, refresh } = useLive(
    () => engine.pending.list({ limit: RECORDS }),
    (changed) => engine.status.subscribe(changed),
    [engine],
  );
  const acting = useActing(refresh);
  const { nextAttemptAt, pending, attempts, oldestUnsentAt, reason } = status;
  useSeconds(pending > 0);
  const [tone, words] = PHASES[status.phase] ?? ["", status.phase];
  const until = nextAttemptAt === undefined ? undefined : nextAttemptAt - performance.now();
  const shown = value?.items.slice(0, SHOWN_MAX) ?? [];
  const lanes = Object.entries(status.pendingByLane).filter(([, count]) => count > 0);
  return h(
    "div",
    null,
    h(
      "div",
      { class: "line" },
      badge(tone, words),
      reason ? quiet(`last try: ${reason}`) : null,
      allowed && pending > 0
        ? button("Send now", () => acting.act(() => engine.drain(5_000), "Tried."), { disabled: acting.busy })
        : null,
    ),
    figures([
      ["waiting here", text.count(pending)],
      ["applied", text.count(status.applied)],
      ["failed tries", text.count(attempts)],
      ["next try", until === undefined || pending === 0 ? "–" : until <= 0 ? "now" : `in ${text.span(until)}`],
      ["oldest", oldestUnsentAt === undefined ? "–" : text.span(Date.now() - oldestUnsentAt)],
    ]),
    lanes.length > 0
      ? h(
          "p",
          { class: "lanes" },
          lanes.map(([lane, count]) => h("span", { class: `lane ${lane}`, key: lane }, `${lane} ${text.count(count)}`)),
        )
      : null,
    pending === 0
      ? empty("Nothing waits. Events show up here from the moment they are stored until the server has them.")
      : table(
          "Waiting, in the order of sending",
          ["lane", "event", "entity", "place", "size", "age"],
          shown.map(rowOf),
        ),
    pending > shown.length && shown.length > 0
      ? quiet(`and ${text.counted(pending - shown.length, "more event")}`)
      : null,
    outcome(acting, trouble),
  );
}

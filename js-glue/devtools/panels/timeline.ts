/** From the call to the acknowledgement: the way of the last events, and how long each stretch takes. */

import { type ComponentChild, h } from "preact";
import type { PanelProps } from "../app.ts";
import { useActing, useLive } from "../hooks.ts";
import { percentile, type TimelineEvent } from "../timeline.ts";
import { button, download, empty, outcome, quiet, short, table, text } from "../view.ts";

const SHOWN_MAX = 25;
const WIDTH = 240;
const HEIGHT = 12;

type Stretch = readonly [name: string, from: (event: TimelineEvent) => number | undefined, to: typeof until];
const until = (event: TimelineEvent): number | undefined => event.settledAt;

const STRETCHES: readonly Stretch[] = [
  ["stored", (event) => event.calledAt, (event) => event.storedAt],
  ["waited", (event) => event.storedAt, (event) => event.pushedAt],
  ["acknowledged", (event) => event.pushedAt, until],
];
const WHOLE: Stretch = ["whole way", (event) => event.calledAt, until];

function lengthOf([, from, to]: Stretch, event: TimelineEvent): number | undefined {
  const [start, end] = [from(event), to(event)];
  return start === undefined || end === undefined ? undefined : Math.max(0, end - start);
}

/** One bar of three colours; its scale is the slowest event shown, by its root, so that short ones are still seen. */
function bar(event: TimelineEvent, longest: number): ComponentChild {
  const whole = Math.max(
    ...STRETCHES.map(([, from, to]) => (to(event) ?? from(event) ?? event.calledAt) - event.calledAt),
  );
  const scale = (at: number): number => (whole > 0 ? (at / whole) * Math.sqrt(whole / longest) * WIDTH : 0);
  const parts = STRETCHES.flatMap((stretch) => {
    const length = lengthOf(stretch, event);
    const from = stretch[1](event);
    if (length === undefined || from === undefined) return [];
    const at = { x: scale(from - event.calledAt), width: Math.max(1.5, scale(length)) };
    return [h("rect", { ...at, y: 0, height: HEIGHT, rx: 2, class: stretch[0], key: stretch[0] })];
  });
  return h("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: "bar", "aria-hidden": true }, parts);
}

/** Also before there is an event: what the network did may be the whole story. */
export function TimelinePanel(props: PanelProps): ComponentChild {
  const acting = useActing();
  const save = async (): Promise<void> => {
    const { recorder } = await props.records;
    download("offline-ai-trace.json", "application/json", [recorder.export()]);
  };
  return h(
    "div",
    null,
    h(Events, props),
    button("Export trace", () =>
      acting.act(save, "Saved. It holds times, sizes and verdicts, never what an event says."),
    ),
    outcome(acting),
  );
}

function Events({ engine, timeline }: PanelProps): ComponentChild {
  const { value: events = [] } = useLive(
    async () => timeline.events,
    (changed) => engine.status.subscribe(changed),
    [engine, timeline],
  );
  if (events.length === 0)
    return empty("No event was queued since this panel came up. Queue one: its way to the server is drawn here.");
  const shown = events.slice(0, SHOWN_MAX);
  const longest = Math.max(
    1,
    ...shown.map((event) => (until(event) ?? event.storedAt ?? event.calledAt) - event.calledAt),
  );
  const figuresOf = (stretch: Stretch) => {
    const lengths = events.map((event) => lengthOf(stretch, event)).filter((length) => length !== undefined);
    return [text.count(lengths.length), text.ms(percentile(lengths, 50)), text.ms(percentile(lengths, 95))];
  };
  return h(
    "div",
    null,
    table(
      "How long each stretch takes",
      ["stretch", "events", "half within (p50)", "95 % within (p95)"],
      [...STRETCHES, WHOLE].map((stretch) => ({
        key: stretch[0],
        cells: [h("span", { class: `key ${stretch[0].split(" ")[0]}` }, stretch[0]), ...figuresOf(stretch)],
      })),
    ),
    table(
      `The last ${Math.min(SHOWN_MAX, events.length)} events, newest first`,
      ["event", "", "stored", "pushed", "acknowledged"],
      shown.map((event, i) => ({
        key: event.id || `call ${i}`,
        cells: [
          h("span", { title: event.entity }, short(event.eventType, 28)),
          bar(event, longest),
          text.ms(event.storedAt && event.storedAt - event.calledAt),
          text.ms(event.pushedAt && event.pushedAt - event.calledAt),
          event.verdict && event.verdict !== "applied"
            ? event.verdict
            : text.ms(event.settledAt && event.settledAt - event.calledAt),
        ],
      })),
    ),
    quiet("Times count from the call. What another tab or the Service Worker pushes has no push time here."),
  );
}

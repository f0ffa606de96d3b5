/** The place of the charts; they come with their own file when somebody opens it. */

import { type ComponentChild, h } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import type { PanelProps } from "../app.ts";
import { inWords } from "../hooks.ts";
import { quiet, text } from "../view.ts";

export function MetricsPanel({ records }: PanelProps): ComponentChild {
  const host = useRef<HTMLDivElement>(null);
  const [trouble, setTrouble] = useState("");
  useEffect(() => {
    const place = host.current as HTMLElement;
    const charts = Promise.all([import("../charts.ts"), records]).then(
      ([{ Charts }, { metrics }]) => new Charts(place, metrics, text),
    );
    charts.catch((error: unknown) => setTrouble(inWords(error)));
    return () =>
      void charts.then(
        (shown) => shown.close(),
        () => undefined,
      );
  }, [records]);
  return h("div", null, h("div", { ref: host }), quiet(trouble));
}

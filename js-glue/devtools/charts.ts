/** What the queue has been doing for the last five minutes: as lines by uPlot, and in figures for who cannot see them. */

import uPlot from "uplot";
import css from "uplot/dist/uPlot.min.css";
import { type Metrics, type Reading, summary } from "./metrics.ts";

/** How figures read; given, so that this file shares none with the panels and their own stays in one piece. */
export interface Format {
  readonly count: (value: number) => string;
  readonly ms: (value: number) => string;
}

interface Measure {
  readonly title: string;
  /** A variable of the style sheet. */
  readonly colour: string;
  readonly of: (reading: Reading) => number | null;
  readonly unit: keyof Format;
}

const MEASURES: readonly Measure[] = [
  { title: "Waiting here", colour: "--oas-waited", of: ({ waiting }) => waiting, unit: "count" },
  { title: "Applied a second", colour: "--oas-acknowledged", of: ({ applied }) => applied, unit: "count" },
  { title: "Call to acknowledgement, ms", colour: "--oas-stored", of: ({ answered }) => answered, unit: "ms" },
];

const DRAW_MS = 1_000;
const HEIGHT = 120;
const WIDTH_MIN = 160;
const STYLE = `
.charts { min-height: ${MEASURES.length * (HEIGHT + 20)}px; overflow: hidden; }
.charts .u-title { font: 13px system-ui, sans-serif; text-align: left; }
`;

/** Variables are read at every drawing, so the lines follow light, dark and the page's own colours. */
const colourOf = (host: HTMLElement, name: string) => (): string => getComputedStyle(host).getPropertyValue(name);

function optionsOf(host: HTMLElement, { title, colour }: Measure): uPlot.Options {
  const grid = { stroke: colourOf(host, "--oas-line"), width: 1 };
  const axis = { stroke: colourOf(host, "--oas-quiet"), grid, ticks: grid, font: "11px system-ui, sans-serif" };
  return {
    title,
    width: WIDTH_MIN,
    height: HEIGHT,
    legend: { show: false },
    cursor: { show: false },
    scales: { y: { range: (_, __, most) => [0, Math.max(1, most * 1.1)] } },
    axes: [axis, { ...axis, size: 54 }],
    series: [{}, { stroke: colourOf(host, colour), width: 2, spanGaps: true, points: { show: false } }],
  };
}

const cell = (kind: "td" | "th", words: string): HTMLElement => {
  const made = document.createElement(kind);
  made.textContent = words;
  if (kind === "th") made.setAttribute("scope", "col");
  return made;
};

function makeTable(): HTMLTableElement {
  const table = document.createElement("table");
  table.createCaption().textContent = "The last five minutes in figures";
  const head = table.createTHead().insertRow();
  head.append(...["measure", "now", "mean", "most"].map((words) => cell("th", words)));
  for (const { title } of MEASURES)
    table.appendChild(document.createElement("tbody")).insertRow().append(cell("td", title));
  return table;
}

/** Fills a place in a shadow root, and follows the readings until it is closed. */
export class Charts {
  readonly #host: HTMLElement;
  readonly #metrics: Metrics;
  readonly #format: Format;
  readonly #table = makeTable();
  readonly #plots: readonly uPlot[];
  readonly #resized: ResizeObserver;
  readonly #timer = setInterval(() => this.#draw(), DRAW_MS);

  constructor(host: HTMLElement, metrics: Metrics, format: Format) {
    this.#host = host;
    this.#metrics = metrics;
    this.#format = format;
    const lines = document.createElement("div");
    lines.className = "charts";
    lines.setAttribute("aria-hidden", "true"); // the table says the same
    host.replaceChildren(lines, this.#table);
    styleOnce(host.getRootNode() as ShadowRoot);
    this.#plots = MEASURES.map((measure) => new uPlot(optionsOf(host, measure), [[], []], lines));
    this.#resized = new ResizeObserver(() => {
      for (const plot of this.#plots) plot.setSize({ width: Math.max(WIDTH_MIN, host.clientWidth), height: HEIGHT });
    });
    this.#resized.observe(host);
    this.#draw();
  }

  #draw(): void {
    const { readings } = this.#metrics;
    const times = readings.map(({ at }) => at);
    MEASURES.forEach(({ of, unit }, i) => {
      const values = readings.map(of);
      this.#plots[i]?.setData([times, values]);
      const { now, mean, most } = summary(values);
      const row = this.#table.tBodies[i]?.rows[0];
      const cells = [now, mean, most].map((value) =>
        cell("td", value === undefined ? "–" : this.#format[unit](Math.round(value * 10) / 10)),
      );
      row?.replaceChildren(...[row.firstElementChild ?? "", ...cells]);
    });
  }

  close(): void {
    clearInterval(this.#timer);
    this.#resized.disconnect();
    for (const plot of this.#plots) plot.destroy();
    this.#host.replaceChildren();
  }
}

const styled = new WeakSet<ShadowRoot>();

/** uPlot's own rules come before ours. */
function styleOnce(root: ShadowRoot): void {
  if (styled.has(root)) return;
  styled.add(root);
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(css + STYLE);
  root.adoptedStyleSheets = [sheet, ...root.adoptedStyleSheets];
}

/** The few shapes all panels are made of, and how figures read. */

import { type ComponentChild, h } from "preact";
import type { Acting } from "./hooks.ts";

const UNITS = ["B", "kB", "MB", "GB", "TB"] as const;

export const text = {
  count: (value: number): string => value.toLocaleString("en"),
  /** 1 event, 2 events. */
  counted: (value: number, one: string): string => `${value.toLocaleString("en")} ${one}${value === 1 ? "" : "s"}`,
  bytes(value: number | undefined): string {
    if (value === undefined) return "unknown";
    let [left, unit] = [value, 0];
    for (; left >= 1_000 && unit < UNITS.length - 1; unit++) left /= 1_000;
    return `${left < 10 && unit > 0 ? left.toFixed(1) : Math.round(left)} ${UNITS[unit]}`;
  },
  ms(value: number | undefined): string {
    if (value === undefined) return "–";
    if (value < 1_000) return `${value < 10 ? value.toFixed(1) : Math.round(value)} ms`;
    return text.span(value);
  },
  span(value: number): string {
    const seconds = Math.max(0, Math.round(value / 1_000));
    if (seconds < 90) return `${seconds} s`;
    if (seconds < 5_400) return `${Math.round(seconds / 60)} min`;
    return seconds < 172_800 ? `${Math.round(seconds / 3_600)} h` : `${Math.round(seconds / 86_400)} days`;
  },
  value(value: unknown): string {
    if (value === undefined) return "(deleted)";
    return typeof value === "string" ? value : (JSON.stringify(value) ?? "(nothing)");
  },
};

/** The first characters of what may be long. */
export const short = (value: string, most: number): string =>
  value.length <= most ? value : `${value.slice(0, most - 1)}…`;

export const figures = (entries: readonly (readonly [name: string, value: ComponentChild])[]): ComponentChild =>
  h(
    "dl",
    { class: "figures" },
    entries.map(([name, value]) => h("div", { key: name }, h("dt", null, name), h("dd", null, value))),
  );

export interface Row {
  readonly key: string;
  readonly cells: readonly ComponentChild[];
  readonly class?: string;
}

/** Scrolls by itself, also by keyboard, so that a narrow page does not. */
export const table = (caption: string, heads: readonly string[], rows: readonly Row[]): ComponentChild =>
  h(
    "div",
    { class: "scroll", tabIndex: 0, role: "region", "aria-label": caption },
    h(
      "table",
      null,
      h("caption", null, caption),
      h(
        "thead",
        null,
        h(
          "tr",
          null,
          heads.map((head) => h("th", { scope: "col", key: head }, head)),
        ),
      ),
      h(
        "tbody",
        null,
        rows.map(({ key, cells, class: look }) =>
          h(
            "tr",
            { key, ...(look ? { class: look } : {}) },
            cells.map((cell, i) => h("td", { key: i }, cell)),
          ),
        ),
      ),
    ),
  );

export const empty = (words: string): ComponentChild => h("p", { class: "empty" }, words);
export const quiet = (...words: ComponentChild[]): ComponentChild => h("p", { class: "quiet" }, words);
export const badge = (tone: "good" | "warn" | "bad" | "", words: string): ComponentChild =>
  h("span", { class: `badge ${tone}` }, words);

export const button = (
  label: string,
  action: () => void,
  options: { readonly look?: string; readonly disabled?: boolean; readonly says?: string } = {},
): ComponentChild =>
  h(
    "button",
    {
      ...{ type: "button", class: options.look ?? "", disabled: options.disabled ?? false, onClick: action },
      ...(options.says ? { "aria-label": options.says } : {}),
    },
    label,
  );

/** What the last button did; read out by screen readers. */
export const outcome = ({ word }: Acting, trouble = ""): ComponentChild =>
  h("p", { class: "outcome", role: "status" }, word || trouble);

/** Hands text to the person as a file. */
export function download(name: string, type: string, parts: readonly string[]): void {
  const url = URL.createObjectURL(new Blob([...parts], { type }));
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

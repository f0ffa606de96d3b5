/** What each model takes, how a text area becomes it, and examples. */

import type { ModelInput } from "offline-ai-sync/models";

export type Kind = "text" | "numeric" | "history";

export interface Shown {
  readonly name: string;
  readonly title: string;
  readonly kind: Kind;
  readonly label: string;
  /** One of the model's views, where labels are too many to read. */
  readonly view?: string;
  readonly samples: readonly string[];
}

export const MODELS: readonly Shown[] = [
  {
    name: "intent",
    title: "Intent: what somebody wants",
    kind: "text",
    label: "A request to an assistant",
    samples: [
      "what is my bank balance",
      "set a timer for ten minutes",
      "my card was declined in rome",
      "which philosopher wrote about the cave", // out of scope: it abstains
    ],
  },
  {
    name: "emotion",
    title: "Emotion: how a text sounds",
    kind: "text",
    label: "A comment",
    view: "ekman7",
    samples: [
      "thank you so much, this made my day",
      "why would anyone ship this, it is broken again",
      "the shop is open",
    ],
  },
  {
    name: "content",
    title: "Content: news or clickbait",
    kind: "text",
    label: "A headline",
    samples: [
      "21 things you will not believe happened at this wedding",
      "Central bank raises interest rates by a quarter point",
    ],
  },
  {
    name: "recommendation",
    title: "Recommendation: what is next",
    kind: "history",
    label: "Areas of a web site visited so far, separated by semicolons",
    samples: ["MS Office; MS Excel", "Games; Free Downloads", "Visual C; OLE Development"],
  },
  {
    name: "personalization",
    title: "Personalization: will this visit end in a purchase",
    kind: "numeric",
    label: "Seventeen numbers of a shop session",
    samples: [
      "0, 0, 0, 0, 2, 64, 0, 0.1, 0, 0, 1, 2, 2, 1, 2, 0, 0",
      "3, 145, 0, 0, 53, 1783, 0.007, 0.021, 22.9, 0, 10, 2, 2, 1, 1, 0, 0",
    ],
  },
];

/** Throws an Error that says what is wrong with the text. */
export function inputOf({ kind }: Shown, text: string, labels: readonly string[], columns: number): ModelInput {
  if (kind === "text") return text;
  if (kind === "numeric") {
    const numbers = text.split(",").map((one) => Number(one.trim() || "no number"));
    if (numbers.some((one) => !Number.isFinite(one))) throw new Error("Only numbers, separated by commas.");
    if (numbers.length !== columns) throw new Error(`${columns} numbers are needed, these are ${numbers.length}.`);
    return numbers;
  }
  const known = new Map(labels.map((label, i) => [label.trim().toLowerCase(), i]));
  const names = text
    .split(";")
    .map((one) => one.trim())
    .filter(Boolean);
  return names.map((name) => {
    const item = known.get(name.toLowerCase());
    if (item === undefined) throw new Error(`The model knows no area “${name}”.`);
    return item;
  });
}

export const EXAMPLES = `parcel: where is my parcel
parcel: has my order been shipped
parcel: the delivery is late
parcel: track my package
refund: i want my money back
refund: please refund the order
refund: return these shoes
refund: it arrived broken, can i get a refund
size: does it come in extra large
size: which size fits me
size: is this jacket true to size
size: do you have a smaller one`;

/** Lines of `label: phrase`; empty ones are left out. Throws an Error that names the line. */
export function examplesOf(text: string): readonly { readonly text: string; readonly label: string }[] {
  return text
    .split("\n")
    .map((line) => line.trim())
    .filter(Boolean)
    .map((line) => {
      const at = line.indexOf(":");
      if (at < 1 || line.slice(at + 1).trim() === "") throw new Error(`No label in front of “${line}”.`);
      return { label: line.slice(0, at).trim(), text: line.slice(at + 1).trim() };
    });
}

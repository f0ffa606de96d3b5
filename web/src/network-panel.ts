/** The controls of a device's weather. */

import { element } from "./dom.ts";
import { type FINE, getWeather, setWeather, TROUBLES, type Trouble } from "./network.ts";

interface Slider {
  readonly key: "latencyMs" | "requestsLost" | "repliesLost";
  readonly label: string;
  readonly max: number;
  readonly step: number;
  readonly shown: (value: number) => string;
}

const percent = (value: number): string => `${Math.round(value * 100)} %`;
const SLIDERS: readonly Slider[] = [
  { key: "latencyMs", label: "Latency", max: 3_000, step: 100, shown: (value) => `${value} ms` },
  { key: "requestsLost", label: "Requests lost", max: 1, step: 0.05, shown: percent },
  { key: "repliesLost", label: "Replies lost", max: 1, step: 0.05, shown: percent },
];

function slider({ key, label, max, step, shown }: Slider): HTMLElement {
  const row = document.createElement("label");
  const words = document.createElement("span");
  const input = document.createElement("input");
  Object.assign(input, { type: "range", min: "0", max: String(max), step: String(step), name: key });
  const show = (): void => {
    input.value = String(getWeather()[key]);
    words.textContent = `${label}: ${shown(getWeather()[key])}`;
  };
  input.addEventListener("input", () => changeWeather({ [key]: Number(input.value) }));
  addEventListener("weather", show);
  show();
  row.append(words, input);
  return row;
}

/** Fills `#network`, and follows the checkbox `#online`. */
export function showNetwork(): void {
  const online = element<HTMLInputElement>("online");
  const trouble = document.createElement("select");
  trouble.append(...Object.entries(TROUBLES).map(([name, words]) => new Option(words, name)));
  trouble.setAttribute("aria-label", "Trouble");
  trouble.addEventListener("change", () => changeWeather({ trouble: trouble.value as Trouble }));
  online.addEventListener("change", () => changeWeather({ online: online.checked }));
  addEventListener("weather", () => {
    online.checked = getWeather().online;
    trouble.value = getWeather().trouble;
  });
  element("network").append(...SLIDERS.map(slider), trouble);
}

/** Also from outside, as the controls would. */
export function changeWeather(change: Partial<typeof FINE>): void {
  setWeather(change);
  dispatchEvent(new Event("weather"));
}

/** The playground: five models, in the library's own kernels or another runtime, and intents of one's own. */

import { open } from "offline-ai-sync";
import {
  CoreKernels,
  type KernelModel,
  type ModelAnswer,
  type ModelInput,
  type ModelRuntime,
  RuntimeModel,
  type RuntimeName,
  simdSupported,
  withModels,
} from "offline-ai-sync/models";
import { onnxRuntime } from "offline-ai-sync/models/onnx";
import { tfjsRuntime } from "offline-ai-sync/models/tfjs";
import { element, setRows, setText } from "./dom.ts";
import { EXAMPLES, examplesOf, inputOf, MODELS, type Shown } from "./models-input.ts";
import { showUpdates } from "./update.ts";

const top = 5;
const groups = 20;
const callsOfGroup = 10;

/** Optional packages of an application; here they lie beside the page. */
const runtimes: Readonly<Record<string, (() => ModelRuntime) | undefined>> = {
  core: undefined,
  "onnx-wasm": () =>
    onnxRuntime("wasm", {
      module: () => import(/* @vite-ignore */ new URL("/runtimes/ort.wasm.bundle.min.mjs", location.href).href),
      wasmUrl: "/runtimes/ort-wasm-simd-threaded.wasm",
    }),
  "tfjs-cpu": () => tfjsRuntime("cpu"),
  "tfjs-webgl": () => tfjsRuntime("webgl"),
};

const consent = { emotion: false };
const kernelUrl = "/infer.wasm";
const engine = withModels(open({ name: "demo-models", url: "/api/offline-ai", wasmUrl: "/core.wasm" }), {
  kernelUrl,
  weights: "/models",
  consent,
});

interface Metric {
  readonly dataset: string;
  readonly split: string;
  readonly metric: string;
  readonly value: number;
  readonly baseline: number;
  readonly baselineName?: string;
  readonly n: number;
  readonly ci95: number;
  readonly headline?: boolean;
}
interface Report {
  readonly id: string;
  readonly files: readonly { readonly quant: string; readonly bytes: number }[];
  readonly licence: string;
  readonly attribution: string;
  readonly metrics: readonly Metric[];
}

const json = async <T>(url: string): Promise<T> => {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${url}: ${response.status}`);
  return (await response.json()) as T;
};
const bytesOf = async (url: string): Promise<Uint8Array> => new Uint8Array(await (await fetch(url)).arrayBuffer());

const reports = json<{ readonly models: readonly Report[] }>("/models/manifest.json");
const kernels = (async () =>
  CoreKernels.open({ binary: await bytesOf(simdSupported() ? kernelUrl : "/infer-base.wasm") }))();

/** The model as the page describes it: labels and columns; one at a time. */
const opened = new Map<string, Promise<{ readonly file: Uint8Array; readonly model: KernelModel }>>();
function openModel(name: string): Promise<{ readonly file: Uint8Array; readonly model: KernelModel }> {
  const found =
    opened.get(name) ??
    (async () => {
      const file = await bytesOf(`/models/${name}/model.oasm`);
      return { file, model: (await kernels).loadModel(file) };
    })();
  opened.set(name, found);
  found.catch(() => opened.delete(name)); // the network may be back for the next try
  return found;
}

interface Answer {
  readonly answer: ModelAnswer;
  readonly ms: number;
  readonly runtime: string;
}
let other: { readonly model: RuntimeModel; readonly key: string; reason: string } | undefined;

/** In the chosen runtime; the kernels answer where that cannot, and `note` says why. */
async function ask(
  { name, view }: Shown,
  runtime: string,
  input: ModelInput,
): Promise<Answer & { readonly note: string }> {
  const options = { top, ...(view ? { view } : {}) };
  const make = runtimes[runtime];
  if (!make) {
    const { ms, ...answer } = await engine.predict(name, input, options);
    return { answer, ms, runtime: "core", note: "" };
  }
  const key = `${name} ${runtime}`;
  if (other?.key !== key) {
    await other?.model.close();
    const { file } = await openModel(name);
    const held = { key, reason: "", model: undefined as unknown as RuntimeModel };
    held.model = new RuntimeModel(await kernels, file, {
      runtimes: [make()],
      onFallback: ({ error }) => {
        held.reason = `${runtime} is not available here (${error.message}); the kernels answer. `;
      },
    });
    other = held;
  }
  const { model } = other;
  const { answers, timings, runtime: used } = await model.predictWith(runtime as RuntimeName, [input], options);
  const [answer] = answers;
  if (!answer) throw new Error("no answer");
  return { answer, ms: timings.totalMs, runtime: used, note: other.reason };
}

const shown = (): Shown => MODELS.find(({ name }) => name === element<HTMLSelectElement>("model").value) ?? MODELS[0]!;
const chosenRuntime = (): string => element<HTMLSelectElement>("runtime").value;
const textIn = (id: string): string => element<HTMLInputElement | HTMLTextAreaElement>(id).value;

// A page that is not isolated sees time in steps of a tenth of a millisecond.
const time = (ms: number): string => {
  if (ms < 0.095) return ms >= 0.005 ? `${Math.round(ms * 1_000)} µs` : "< 0.1 ms";
  return `${ms.toFixed(ms < 10 ? 2 : 0)} ms`;
};

function showBars(id: string, { predictions }: ModelAnswer): void {
  const most = Math.max(1, ...predictions.map(({ value }) => value));
  element(id).replaceChildren(
    ...predictions.map(({ label, value }) => {
      const meter = document.createElement("meter");
      meter.max = most;
      meter.value = Math.max(0, value);
      const row = document.createElement("li");
      const [name, number] = [document.createElement("span"), document.createElement("span")];
      name.textContent = label.replaceAll("_", " ");
      number.textContent = value.toFixed(3);
      row.append(name, meter, number);
      return row;
    }),
  );
}

const verdictOf = ({ abstain, confidence }: ModelAnswer): string =>
  `${abstain ? "Abstains: the confidence is too low" : "Does not abstain: the confidence is high enough"} (${confidence.toFixed(2)}).`;

function setState(text: string, tone: "good" | "warn" | "bad" | ""): void {
  setText("state", text);
  element("state").setAttribute("data-tone", tone);
}

/** Runs one thing at a time, and says what went wrong in the page. */
let last: Promise<void> = Promise.resolve();
function act(work: () => Promise<void>): void {
  last = last.then(async () => {
    setState("working", "");
    try {
      await work();
      setState("ready", "good");
    } catch (error) {
      setState(error instanceof Error ? error.message : String(error), "bad");
    }
  });
}

async function inputNow(): Promise<ModelInput> {
  const { model } = await openModel(shown().name);
  return inputOf(shown(), textIn("input"), model.labels, model.inputs);
}

const mayAsk = (): boolean => {
  if (shown().name !== "emotion" || consent.emotion) return true;
  element("answers").replaceChildren();
  setText("verdict", "This one waits for your consent, and loads nothing before.");
  return false;
};

async function predict(): Promise<void> {
  if (!mayAsk()) return;
  const { answer, ms, runtime, note } = await ask(shown(), chosenRuntime(), await inputNow());
  showBars("answers", answer);
  setText("verdict", `${note}${verdictOf(answer)} Answered by ${runtime === "core" ? "the kernels" : runtime}.`);
  element("verdict").dataset["runtime"] = runtime;
  element("verdict").dataset["abstain"] = String(answer.abstain);
  setText("latency", time(ms));
}

async function measure(): Promise<void> {
  if (!mayAsk()) return;
  const [model, runtime, input] = [shown(), chosenRuntime(), await inputNow()];
  await ask(model, runtime, input); // the first call pays for the start
  const times: number[] = [];
  for (let group = 0; group < groups; group++) {
    const start = performance.now();
    for (let call = 0; call < callsOfGroup; call++) await ask(model, runtime, input);
    times.push((performance.now() - start) / callsOfGroup);
  }
  times.sort((a, b) => a - b);
  setText("median", time(times[groups >> 1] ?? 0));
  setText("slowest", time(times.at(-1) ?? 0));
}

async function showReport(): Promise<void> {
  const { models } = await reports;
  const report = models.find(({ id }) => id === shown().name);
  if (!report) return;
  const bytes = report.files.find(({ quant }) => quant === "int8")?.bytes ?? report.files[0]?.bytes ?? 0;
  setText("size", `${Math.round(bytes / 1_000)} kB`);
  const best = report.metrics.filter(({ headline }) => headline);
  setRows(
    "metrics",
    best.map(({ dataset, split, metric, value, ci95, baseline, baselineName }) => [
      `${dataset}, ${split}`,
      metric,
      `${value.toFixed(value < 10 ? 3 : 1)} ± ${ci95.toFixed(ci95 < 0.1 ? 3 : 1)}`,
      `${baseline.toFixed(baseline < 10 ? 2 : 1)}${baselineName ? ` (${baselineName})` : ""}`,
    ]),
  );
  setText("origin", `Trained on ${report.attribution}; ${report.licence}.`);
}

function showModel(): void {
  const { label, samples, name } = shown();
  setText("input-label", label);
  element<HTMLTextAreaElement>("input").value = samples[0] ?? "";
  element("sample").replaceChildren(...samples.map((sample) => new Option(sample, sample)));
  element("consent-row").hidden = name !== "emotion";
  for (const id of ["latency", "median", "slowest"]) setText(id, "–");
  act(async () => {
    await showReport();
    await predict();
  });
}

async function fit(): Promise<void> {
  const examples = examplesOf(textIn("examples"));
  const start = performance.now();
  const labels = await engine.intent.fit("own", examples);
  setText("fit-state", `${labels.length} labels from ${examples.length} phrases in ${time(performance.now() - start)}`);
  await askOwn();
}

async function askOwn(): Promise<void> {
  showBars("fit-answers", await engine.predict("own", textIn("question"), { top }));
}

element("model").replaceChildren(...MODELS.map(({ name, title }) => new Option(title, name)));
element("runtime").replaceChildren(
  ...Object.keys(runtimes).map((name) => new Option(name === "core" ? "the library's own kernels" : name, name)),
);
element<HTMLTextAreaElement>("examples").value = EXAMPLES;
const onSubmit = (id: string, work: () => Promise<void>): void =>
  element(id).addEventListener("submit", (event) => {
    event.preventDefault();
    act(work);
  });
onSubmit("ask", predict);
onSubmit("fit", fit);
onSubmit("try", askOwn);
element("measure").addEventListener("click", () => act(measure));
element("model").addEventListener("change", showModel);
element("runtime").addEventListener("change", () => act(predict));
element("consent").addEventListener("change", () => {
  consent.emotion = element<HTMLInputElement>("consent").checked;
  act(predict);
});
element("sample").addEventListener("change", () => {
  element<HTMLTextAreaElement>("input").value = textIn("sample");
  act(predict);
});
showModel();
showUpdates(["/"]);

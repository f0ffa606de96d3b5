/**
 * The library's own kernels (infer.wasm): five models, intent fitting and the on-device learners, in page, Service
 * Worker and Node. Synchronous once opened; a batch is one call. Nothing predicted here is ever replicated as truth.
 */

import { BlockReader, BlockWriter } from "../core/block.ts";
import { asFailure, failure } from "../core/errors.ts";
import { createInferCore, type InferBinary, type InferCore } from "./infer-module.ts";

export { type InferBinary, simdSupported } from "./infer-module.ts";

/** What kind of input a model takes. */
export type ModelKind = "text" | "numeric" | "history";
/** A text, a row of numbers, or a history of item numbers, as the model's kind asks. */
export type ModelInput = string | readonly number[];

/** One label with its value; `index` is its place among the labels. */
export interface Prediction {
  readonly label: string;
  readonly index: number;
  readonly value: number;
}

/** What a model says of one input. */
export interface ModelAnswer {
  /** Best first when `top` was asked for, else in the order of labels. Meaningful even when the model abstains. */
  readonly predictions: readonly Prediction[];
  /** What the model's threshold looks at. */
  readonly confidence: number;
  /** The model would rather not say: out of scope, or below the view's threshold. */
  readonly abstain: boolean;
}

/** An answer for each input, in their order. */
export interface PredictResult {
  readonly answers: readonly ModelAnswer[];
  readonly timings: { readonly totalMs: number; readonly perInputMs: number };
}

/** Which labels to answer with. */
export interface PredictOptions {
  /** One of `model.views`, such as "basic4" for emotion. */
  readonly view?: string;
  /** Only the best few labels; all of them otherwise. */
  readonly top?: number;
}

/** A phrase and what it means. */
export interface IntentExample {
  readonly text: string;
  readonly label: string;
}

/** How an application's own intents are fitted. */
export interface FitOptions {
  readonly seed?: number;
  /** Abstain below this probability. */
  readonly threshold?: number;
  /** Leave the shipped embedding out. For comparison only: it is worse. */
  readonly fromScratch?: boolean;
}

/** A text's scores; `score` joins the parts. */
export interface ContentScore {
  readonly score: number;
  readonly parts: {
    readonly clickbait: number;
    readonly flesch: number;
    readonly ari: number;
    readonly density: number;
    readonly length: number;
    readonly format: number;
  };
  readonly words: number;
  readonly sentences: number;
}

/** The module, and a clock for timings. */
export interface KernelOptions {
  /** infer.wasm, or infer-base.wasm where `simdSupported()` is false. */
  readonly binary: InferBinary;
  /** Monotonic milliseconds for the timings. */
  readonly now?: () => number;
}

const command = {
  load: 1,
  unload: 2,
  describe: 3,
  predict: 4,
  fit: 5,
  content: 6,
  features: 7,
} as const;

const kinds: readonly ModelKind[] = ["text", "numeric", "history"];

/** A model in the kernels' memory. Close it when done: the memory is not the garbage collector's. */
export class KernelModel {
  readonly id: string;
  readonly version: string;
  readonly kind: ModelKind;
  readonly inputs: number;
  readonly recipeSha256: Uint8Array;
  /** Data set, licence and attribution as the file states them. */
  readonly meta: Readonly<Record<string, unknown>>;
  readonly views: ReadonlyMap<string, readonly string[]>;
  readonly #release: (handle: number) => void;
  #open = true;

  constructor(
    readonly handle: number,
    about: BlockReader,
    release: (handle: number) => void,
  ) {
    this.id = about.text();
    this.version = about.text();
    this.kind = kinds[about.u8()] ?? "text";
    this.inputs = about.varint();
    this.recipeSha256 = about.raw(32);
    const meta = about.text();
    this.meta = meta === "" ? {} : (JSON.parse(meta) as Record<string, unknown>);
    this.views = new Map(Array.from({ length: about.varint() }, () => [about.text(), about.texts()] as const));
    this.#release = release;
  }

  get labels(): readonly string[] {
    return this.views.get("labels") ?? [];
  }

  close(): void {
    if (this.#open) this.#release(this.handle);
    this.#open = false;
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** infer.wasm: loads models, answers, fits, learns. */
export class CoreKernels {
  readonly #core: InferCore;
  readonly #now: () => number;
  readonly #out = new BlockWriter();
  #state: "open" | "closed" | "trapped" = "open";

  private constructor(core: InferCore, now: () => number) {
    this.#core = core;
    this.#now = now;
  }

  /** Rejects with `wasm_blocked` where WebAssembly may not run. */
  static async open({ binary, now = () => performance.now() }: KernelOptions): Promise<CoreKernels> {
    return new CoreKernels(await createInferCore(binary), now);
  }

  /** Throws what the loader refuses: `checksum`, `malformed`, `truncated`, `version_not_supported`, `limit_exceeded`. */
  loadModel(file: Uint8Array): KernelModel {
    return this.#model(this.#call(this.#begin(command.load).raw(file)).varint());
  }

  /** All inputs in one call; throws `invalid_argument` for a view the model does not have. */
  predict(model: KernelModel, inputs: readonly ModelInput[], options: PredictOptions = {}): PredictResult {
    const names = [...model.views.keys()];
    const view = options.view === undefined ? 0 : names.indexOf(options.view);
    if (view < 0) throw failure("invalid_argument", `model ${model.id} has no view '${options.view}'`);
    const labels = model.views.get(names[view] ?? "") ?? [];
    const started = this.#now();
    const out = this.#begin(command.predict)
      .varint(model.handle)
      .varint(view)
      .varint(options.top ?? 0);
    out.varint(inputs.length);
    for (const input of inputs) writeInput(out, model, input);
    const answer = this.#call(out);
    const totalMs = this.#now() - started;
    const answers = Array.from({ length: answer.varint() }, () => readAnswer(answer, labels));
    return { answers, timings: { totalMs, perInputMs: inputs.length > 0 ? totalMs / inputs.length : 0 } };
  }

  /** Learns the app's own intents from a few phrases each, on top of the shipped intent model. Milliseconds. */
  fitIntent(base: KernelModel, examples: readonly IntentExample[], options: FitOptions = {}): KernelModel {
    const labels = [...new Set(examples.map(({ label }) => label))].sort();
    const index = new Map(labels.map((label, i) => [label, i]));
    const out = this.#begin(command.fit)
      .varint(base.handle)
      .u32(options.seed ?? 1);
    out.f32(options.threshold ?? 0).f32(options.fromScratch ? 0 : 2);
    out.texts(labels).varint(examples.length);
    for (const { text, label } of examples) out.varint(index.get(label) ?? 0).text(text);
    return this.#model(this.#call(out).varint());
  }

  /** The parts of a content score and their sum; `model` is the clickbait head. */
  scoreContent(model: KernelModel, text: string): ContentScore {
    const answer = this.#call(this.#begin(command.content).varint(model.handle).text(text));
    const [score, clickbait, flesch, ari, density, length, format, words, sentences] = Array.from({ length: 9 }, () =>
      answer.f32(),
    ) as [number, number, number, number, number, number, number, number, number];
    return { score, parts: { clickbait, flesch, ari, density, length, format }, words, sentences };
  }

  /** The buckets of ngram-v1: what exporters for other runtimes feed their models with. */
  features(text: string, bucketsLog2 = 13, charMin = 3, charMax = 4): number[] {
    const out = this.#begin(command.features).u8(bucketsLog2).u8(charMin).u8(charMax);
    const answer = this.#call(out.raw(new TextEncoder().encode(text)));
    let bucket = 0;
    return Array.from({ length: answer.varint() }, () => (bucket += answer.varint()));
  }

  /** For the recommender and the learner beside this class: one command, one answer. */
  request(code: number, fill: (out: BlockWriter) => void): BlockReader {
    const out = this.#begin(code);
    fill(out);
    return this.#call(out);
  }

  close(): void {
    if (this.#state === "open") this.#core.delete();
    this.#state = "closed";
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #begin(code: number): BlockWriter {
    return this.#out.reset().u8(code);
  }

  #model(handle: number): KernelModel {
    const about = this.#call(this.#begin(command.describe).varint(handle));
    return new KernelModel(handle, about, (closing) => {
      if (this.#state === "open") this.#call(this.#begin(command.unload).varint(closing));
    });
  }

  #call(request: BlockWriter): BlockReader {
    if (this.#state === "closed") throw failure("closed", "the kernels are closed");
    if (this.#state === "trapped") throw failure("internal", "the kernels trapped; open new ones");
    const bytes = request.bytes();
    let answer: Uint8Array;
    try {
      this.#core.input(bytes.length).set(bytes);
      answer = this.#core.call().slice();
    } catch (error) {
      // A trapped instance may still answer, but nothing it says can be trusted.
      this.#state = "trapped";
      throw asFailure(error, "internal");
    }
    return new BlockReader(answer);
  }
}

function writeInput(out: BlockWriter, model: KernelModel, input: ModelInput): void {
  if (model.kind === "text") {
    if (typeof input !== "string") throw failure("invalid_argument", `model ${model.id} takes texts`);
    out.text(input);
    return;
  }
  if (typeof input === "string") throw failure("invalid_argument", `model ${model.id} takes numbers`);
  if (model.kind === "history") {
    out.ids(input);
    return;
  }
  if (input.length !== model.inputs) {
    throw failure("invalid_argument", `model ${model.id} takes ${model.inputs} numbers a row, not ${input.length}`);
  }
  for (const value of input) out.f32(value);
}

function readAnswer(answer: BlockReader, labels: readonly string[]): ModelAnswer {
  const abstain = answer.u8() !== 0;
  const confidence = answer.f32();
  const predictions = Array.from({ length: answer.varint() }, () => {
    const index = answer.varint();
    return { label: labels[index] ?? String(index), index, value: answer.f32() };
  });
  return { predictions, confidence, abstain };
}

/**
 * One model behind whichever runtime suits the call: the core's kernels always, another one where the app allowed it, the
 * host can, and a short measurement on this very device says that it pays.
 *
 * The kernels are the reference and the safety net: a runtime that is missing, or loses its device or its memory, is
 * reported once and the same call is answered by the kernels.
 */

import { asFailure, type OfflineSyncError } from "../core/errors.ts";
import type { CoreKernels, KernelModel, ModelInput, PredictOptions, PredictResult } from "./core-kernels.ts";
import { answersOf } from "./host-input.ts";
import { type Program, readProgram } from "./oasm.ts";
import type { ModelRuntime, RuntimeName, RuntimeSession } from "./runtime.ts";

/** What a benchmark may take of each runtime, in milliseconds; one call at least. */
export const BENCHMARK_MS = 5;
/** Fewer rows than this never go to a GPU: starting one costs more than answering. */
export const GPU_ROWS_MIN = 256;
const BENCHMARK_CALLS_MAX = 10_000;

/** A runtime that was given up, and why. */
export interface Fallback {
  readonly runtime: RuntimeName;
  readonly error: OfflineSyncError;
}

/** Which runtimes are allowed. */
export interface RuntimeModelOptions {
  /** Runtimes the app allows, most wanted first. None: the core's kernels alone. */
  readonly runtimes?: readonly ModelRuntime[] | undefined;
  /** Told once for each runtime that is given up. */
  readonly onFallback?: ((fallback: Fallback) => void) | undefined;
  /** Monotonic milliseconds. */
  readonly now?: (() => number) | undefined;
}

/** Milliseconds a row, measured here; what a device record keeps until the model's or the library's version changes. */
export interface Measurement {
  readonly runtime: RuntimeName;
  readonly rows: number;
  readonly msPerRow: number;
}

/** Answers, and who gave them. */
export interface RuntimeResult extends PredictResult {
  readonly runtime: RuntimeName;
}

interface Candidate {
  readonly runtime: ModelRuntime;
  session: Promise<RuntimeSession> | undefined;
  /** Milliseconds a row; undefined until measured. */
  cost: number | undefined;
  dead: boolean;
}

/** A model that may be answered by other runtimes, and always by the kernels. */
export class RuntimeModel {
  readonly model: KernelModel;
  readonly #kernels: CoreKernels;
  readonly #program: Program;
  readonly #candidates: readonly Candidate[];
  readonly #onFallback: (fallback: Fallback) => void;
  readonly #now: () => number;
  #coreCost: number | undefined;

  /** Throws what the loader refuses; nothing else of the file is looked at before it was accepted. */
  constructor(kernels: CoreKernels, file: Uint8Array, options: RuntimeModelOptions = {}) {
    this.model = kernels.loadModel(file);
    this.#kernels = kernels;
    this.#program = readProgram(file);
    const { runtimes = [], onFallback = () => undefined, now = () => performance.now() } = options;
    this.#candidates = runtimes
      .filter((runtime) => runtime.supported())
      .map((runtime) => ({ runtime, session: undefined, cost: undefined, dead: false }));
    this.#onFallback = onFallback;
    this.#now = now;
  }

  /** One call, in input order. Answers come from the core's kernels whenever nothing else is measured to be quicker. */
  async predict(inputs: readonly ModelInput[], options: PredictOptions = {}): Promise<RuntimeResult> {
    const chosen = this.#choose(inputs.length);
    if (!chosen) return this.#core(inputs, options);
    return this.predictWith(chosen.runtime.name, inputs, options);
  }

  /** The same in one runtime by name, for comparisons; still falls back to the kernels, and says so in `runtime`. */
  async predictWith(
    name: RuntimeName,
    inputs: readonly ModelInput[],
    options: PredictOptions = {},
  ): Promise<RuntimeResult> {
    const candidate = this.#candidates.find(({ runtime }) => runtime.name === name);
    if (!candidate || candidate.dead || inputs.length === 0) return this.#core(inputs, options);
    try {
      const session = await this.#session(candidate);
      const started = this.#now();
      const answers = answersOf(this.#program, await session.run(inputs), inputs, options);
      const totalMs = this.#now() - started;
      return { answers, timings: { totalMs, perInputMs: totalMs / inputs.length }, runtime: name };
    } catch (error) {
      const cause = asFailure(error, "internal");
      if (cause.fault === "caller") throw cause; // the input is wrong, whoever answers
      this.#giveUp(candidate, cause);
      return this.#core(inputs, options);
    }
  }

  /**
   * Times the kernels and every allowed runtime on `sample` for about 5 ms each, after one call to warm up, and lets
   * `predict` use what was found. A cold runtime's start is not counted: it is paid once.
   */
  async benchmark(sample: readonly ModelInput[]): Promise<readonly Measurement[]> {
    const out: Measurement[] = [];
    const rows = sample.length;
    if (rows === 0) return out;
    this.#coreCost = await this.#time(() => this.#core(sample, { top: 1 }), rows);
    out.push({ runtime: "core", rows, msPerRow: this.#coreCost });
    for (const candidate of this.#candidates) {
      const { runtime } = candidate;
      if (candidate.dead || (runtime.gpu && rows < GPU_ROWS_MIN)) continue;
      const cost = await this.#time(() => this.predictWith(runtime.name, sample, { top: 1 }), rows);
      // Given up meanwhile: what was timed were the kernels.
      if (this.#candidates.find((one) => one === candidate)?.dead) continue;
      candidate.cost = cost;
      out.push({ runtime: runtime.name, rows, msPerRow: cost });
    }
    return out;
  }

  /** Takes an earlier measurement of this device instead of a new one. */
  restore(measurements: readonly Measurement[]): void {
    for (const { runtime, msPerRow } of measurements) {
      if (runtime === "core") this.#coreCost = msPerRow;
      for (const candidate of this.#candidates) if (candidate.runtime.name === runtime) candidate.cost = msPerRow;
    }
  }

  async close(): Promise<void> {
    this.model.close();
    await Promise.all(
      this.#candidates.map(({ session }) =>
        session?.then(
          (open) => open.close(),
          () => undefined, // it never opened
        ),
      ),
    );
  }

  #core(inputs: readonly ModelInput[], options: PredictOptions): RuntimeResult {
    return { ...this.#kernels.predict(this.model, inputs, options), runtime: "core" };
  }

  #choose(rows: number): Candidate | undefined {
    const core = this.#coreCost;
    if (core === undefined) return undefined;
    return this.#candidates
      .filter(({ dead, cost, runtime }) => !dead && (cost ?? core) < core && (!runtime.gpu || rows >= GPU_ROWS_MIN))
      .sort((a, b) => (a.cost ?? 0) - (b.cost ?? 0))[0];
  }

  #session(candidate: Candidate): Promise<RuntimeSession> {
    candidate.session ??= candidate.runtime.open(this.#kernels, this.#program);
    return candidate.session;
  }

  #giveUp(candidate: Candidate, error: OfflineSyncError): void {
    if (candidate.dead) return;
    candidate.dead = true;
    candidate.session?.then(
      (session) => session.close(),
      () => undefined,
    );
    this.#onFallback({ runtime: candidate.runtime.name, error });
  }

  async #time(call: () => unknown, rows: number): Promise<number> {
    await call();
    const started = this.#now();
    let calls = 0;
    let spent = 0;
    while (spent < BENCHMARK_MS && calls < BENCHMARK_CALLS_MAX) {
      await call();
      calls++;
      spent = this.#now() - started;
    }
    return spent / calls / rows;
  }
}

/** What a device knows of its room; see `chooseQuant`. */
export interface QuantHints {
  readonly saveData?: boolean | undefined;
  /** `navigator.deviceMemory`, in GB. */
  readonly memoryGb?: number | undefined;
  /** Share of the storage quota in use, 0 to 1. */
  readonly quotaUsed?: number | undefined;
}

/** Which of a model's files to load: the 4-bit one where bytes are dear. */
export function chooseQuant({ saveData = false, memoryGb = 4, quotaUsed = 0 }: QuantHints): "int8" | "int4" {
  return saveData || memoryGb < 1 || quotaUsed > 0.8 ? "int4" : "int8";
}

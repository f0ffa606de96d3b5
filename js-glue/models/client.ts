/**
 * Models beside an engine: `withModels(open(...), ...)` gives the engine predict, fit, recommend, personalize and feedback.
 *
 * Nothing is loaded before the first of them is called. Results are for this device: none is replicated, and learning
 * stays in the user's own database.
 */

import { systemCrypto } from "../browser/contexts.ts";
import { mintEpoch, systemClock, systemRandom } from "../browser/platform.ts";
import { toHex } from "../core/bytes.ts";
import type { QueuedEvent } from "../core/calls.ts";
import { failure } from "../core/errors.ts";
import { givenUrl } from "../core/load.ts";
import type { DeviceCaps } from "../core/model-statement.ts";
import type { Store } from "../core/ports.ts";
import {
  type ContentScore,
  CoreKernels,
  type FitOptions,
  type InferBinary,
  type IntentExample,
  type KernelModel,
  type ModelAnswer,
  type ModelInput,
  type PredictOptions,
  type PredictResult,
  simdSupported,
} from "../runtimes/core-kernels.ts";
import { jsonBytes, modelKey, readJson } from "./blobs.ts";
import { fetchBytes, modelFile, openKernels, openModelDatabase } from "./files.ts";
import { checkFitted, type FittedCollection, type FittedShelf, sharedFits, storedFits } from "./fitted.ts";
import {
  type ItemRecommendation,
  type PersonalDecision,
  PersonalModel,
  type RecommendQuery,
  VisitModel,
} from "./learned.ts";
import { readKeys } from "./manifest.ts";
import { ModelStore } from "./model-store.ts";
import { fetchRegistry, type RegistryOptions, webVerifier } from "./registry.ts";
import { ModelUpdater, type UpdateReport } from "./updater.ts";

/** The part of an engine that models use. */
export interface EngineForModels {
  /** Names the database that models and what they learn lie in. */
  inspect(): { readonly database: string };
  /** As the engine's; used with `logDecisions` alone. */
  queueEvent(event: QueuedEvent): Promise<unknown>;
}

/** Where kernels and models come from, and what is allowed. */
export interface ModelsOptions {
  /** infer.wasm; its baseline build is expected beside it. Default: beside the package's own files. */
  readonly kernelUrl?: string | URL | undefined;
  /** Instead of an address: the bytes of infer.wasm, or what they were compiled to. */
  readonly kernelBinary?: InferBinary | undefined;
  /** Folder of the weights: `<weights>/<name>/model.oasm`. Default: `/models`. */
  readonly weights?: string | undefined;
  /** Addresses of models of the app's own, by name; they win over `weights`. */
  readonly files?: Readonly<Record<string, string>> | undefined;
  /** Take the 4-bit files where there are some. */
  readonly quant?: "int8" | "int4" | undefined;
  /** Emotion is inferred only when the user has said yes to exactly that. */
  readonly consent?: { readonly emotion?: boolean | undefined } | undefined;
  /** A registry of models, with the public keys that its manifests and files must be signed by: base64, 32 bytes each. */
  readonly registry?: (RegistryOptions & { readonly keys: readonly string[] }) | undefined;
  /** Fitted labels lie in this collection of documents, so that the user's other devices have them too. Default: here alone. */
  readonly intents?: FittedCollection | undefined;
  /** Share of personal decisions drawn evenly among the actions. Default 0.05. */
  readonly explore?: number | undefined;
  /** Queue every personal decision and its feedback as low-priority events, for off-policy reports. Default: false. */
  readonly logDecisions?: boolean | undefined;
  /** Instead of the system's clock, in milliseconds since 1970: judges what has expired. */
  readonly now?: (() => number) | undefined;
  /** Instead of the engine's database: for tests. */
  readonly store?: Store | undefined;
  /** Instead of fetching: for Node and tests. */
  readonly load?: ((url: string) => Promise<Uint8Array<ArrayBuffer>>) | undefined;
}

/** The answer to one input, with the time it took in milliseconds. */
export interface SingleAnswer extends ModelAnswer {
  readonly ms: number;
}

/** The five models, those of the application, and what is learned on this device. */
export interface Models {
  /** One input. Rejects with `not_found` for a model nobody knows, `consent` for emotion without its flag. */
  predict(model: string, input: ModelInput, options?: PredictOptions): Promise<SingleAnswer>;
  /** Many inputs in one call. */
  predictBatch(model: string, inputs: readonly ModelInput[], options?: PredictOptions): Promise<PredictResult>;
  readonly intent: {
    /** Learns the app's own labels from 5 to 20 phrases each, in milliseconds; then `predict(name, text)`. Survives restarts. */
    fit(name: string, examples: readonly IntentExample[], options?: FitOptions): Promise<readonly string[]>;
  };
  /** Clickbait, readability and form of a text. */
  scoreContent(text: string): Promise<ContentScore>;
  /** This user's next visit: the next recommendation knows of it. */
  visit(item: string): Promise<void>;
  /** What to show next, best first, from this user's visits. */
  recommend(query?: RecommendQuery): Promise<readonly ItemRecommendation[]>;
  /** Chooses one of the actions for this context, now and then another one to learn from it. */
  personalize(context: PersonalContext, actions: readonly string[]): Promise<PersonalDecision>;
  /** `reward` is 0 to 1: what came of a decision. */
  feedback(decision: PersonalDecision, reward: number): Promise<void>;
  readonly models: {
    /** Brings one model up to date from the registry. Undefined = the registry has nothing for this device. */
    update(name: string, caps?: DeviceCaps): Promise<UpdateReport | undefined>;
    /** Back to the version before; the registry's next update brings the newer one again. */
    rollback(name: string): Promise<string>;
    /** Forgets everything learned here: visits, feedback, fitted labels. Part of erasing a user. */
    eraseLearned(): Promise<void>;
    close(): Promise<void>;
  };
}

/** Texts as they are, or names and values, which become `name=value`. */
export type PersonalContext = readonly string[] | Readonly<Record<string, string | number | boolean>>;

const contextTexts = (context: PersonalContext): readonly string[] =>
  Array.isArray(context) ? context : Object.entries(context).map(([name, value]) => `${name}=${value}`);

const LEARNED = "default";

class ModelHost {
  readonly #options: ModelsOptions;
  readonly #database: string;
  readonly #loaded = new Map<string, Promise<KernelModel>>();
  readonly #unsubscribe: (() => void) | undefined;
  readonly fits: FittedShelf;
  #kernels: Promise<CoreKernels> | undefined;
  #store: Promise<Store> | undefined;

  constructor(database: string, options: ModelsOptions) {
    this.#database = database;
    this.#options = options;
    const { intents } = options;
    this.fits = intents ? sharedFits(intents) : storedFits(() => this.store());
    // What was fitted from other phrases is fitted again when it is next asked.
    this.#unsubscribe = intents?.subscribe(({ id, origin }) => {
      if (origin !== "local") this.forget(id);
    });
  }

  store(): Promise<Store> {
    const [, name = "", subject = ""] = /^oas:([^:]*):?(.*)$/.exec(this.#database) ?? [];
    this.#store ??= this.#options.store ? Promise.resolve(this.#options.store) : openModelDatabase(name, subject);
    return this.#store;
  }

  kernels(): Promise<CoreKernels> {
    const { kernelUrl: given, kernelBinary: binary, load } = this.#options;
    // Both builds written out, so that bundlers take both along.
    const own = () =>
      simdSupported() ? new URL("./infer.wasm", import.meta.url) : new URL("./infer-base.wasm", import.meta.url);
    const url = given === undefined ? own() : givenUrl(given);
    this.#kernels ??= binary
      ? CoreKernels.open({ binary })
      : openKernels(url.href, load && (async (at) => new Response(await load(at))));
    // A failed start may be repeated: the network may be back.
    this.#kernels.catch(() => {
      this.#kernels = undefined;
    });
    return this.#kernels;
  }

  async modelStore(): Promise<ModelStore> {
    return new ModelStore(await this.store(), systemCrypto);
  }

  model(name: string): Promise<KernelModel> {
    const held = this.#loaded.get(name);
    if (held) return held;
    const loading = this.#load(name);
    this.#loaded.set(name, loading);
    loading.catch(() => this.#loaded.delete(name));
    return loading;
  }

  /** The next call loads the model again. */
  forget(name: string): void {
    const held = this.#loaded.get(name);
    this.#loaded.delete(name);
    held?.then(
      (model) => model.close(),
      () => undefined, // it never loaded
    );
  }

  async fit(name: string, examples: readonly IntentExample[], options: FitOptions): Promise<KernelModel> {
    const [kernels, base] = await Promise.all([this.kernels(), this.model("intent")]);
    const fitted = kernels.fitIntent(base, examples, options);
    this.forget(name);
    this.#loaded.set(name, Promise.resolve(fitted));
    return fitted;
  }

  async close(): Promise<void> {
    this.#unsubscribe?.();
    (await this.#kernels?.catch(() => undefined))?.close();
    if (!this.#options.store) (await this.#store)?.close();
    this.#loaded.clear();
  }

  #address(name: string): string | undefined {
    const { files = {}, weights = "/models", quant = "int8" } = this.#options;
    const small = quant === "int4" && ["intent", "emotion", "content"].includes(name);
    if (files[name] !== undefined) return files[name];
    return BUILT_IN.includes(name)
      ? `${weights.replace(/\/+$/, "")}/${name}/model${small ? ".i4" : ""}.oasm`
      : undefined;
  }

  async #load(name: string): Promise<KernelModel> {
    if (name === "emotion" && !this.#options.consent?.emotion) {
      throw failure("consent", "emotion is inferred only with the user's own consent to it");
    }
    const { load } = this.#options;
    const [kernels, modelStore] = await Promise.all([this.kernels(), this.modelStore()]);
    const fitted = BUILT_IN.includes(name) ? undefined : await this.fits.read(name);
    if (fitted) return kernels.fitIntent(await this.model("intent"), fitted.examples, fitted.options);
    const url = this.#address(name);
    const { file, isStored } = await modelFile(
      { store: modelStore, address: () => url, ...(load ? { kept: async (at) => new Response(await load(at)) } : {}) },
      name,
    );
    const model = kernels.loadModel(file);
    // Only now, since the kernels have accepted it: kept for the time without a network.
    if (!isStored) await keep(modelStore, name, model.version, file);
    return model;
  }
}

const BUILT_IN: readonly string[] = ["intent", "emotion", "content", "recommendation", "personalization"];

async function keep(store: ModelStore, name: string, version: string, file: Uint8Array): Promise<void> {
  const sha256 = toHex(await systemCrypto.sha256(file));
  // A full disk costs the offline copy, not the answer.
  await store.install(name, { version, quant: "file", bytes: file.length, sha256 }, file).catch(() => undefined);
}

const seed = (): bigint => mintEpoch(systemRandom);

/** The functions alone, for those who keep the engine apart. `database`: as `engine.inspect().database` names it. */
export function createModels(engine: EngineForModels, options: ModelsOptions = {}): Models {
  const host = new ModelHost(engine.inspect().database, options);
  const epoch = mintEpoch(systemRandom);
  const visits = async () => new VisitModel(await host.kernels(), await host.store(), LEARNED);
  const personal = async () =>
    new PersonalModel(await host.kernels(), await host.store(), LEARNED, { epoch, seed, explore: options.explore });
  const log = async (eventType: string, eventData: object): Promise<void> => {
    if (!options.logDecisions) return;
    await engine.queueEvent({ eventType, moduleId: "personalization", eventData, priority: "low" });
  };

  const predictBatch: Models["predictBatch"] = async (name, inputs, predictOptions = {}) => {
    const model = await host.model(name);
    return (await host.kernels()).predict(model, inputs, predictOptions);
  };
  return {
    predictBatch,
    async predict(name, input, predictOptions = {}) {
      const { answers, timings } = await predictBatch(name, [input], predictOptions);
      const [answer] = answers;
      if (!answer) throw failure("internal", "the kernels gave no answer");
      return { ...answer, ms: timings.totalMs };
    },
    intent: {
      async fit(name, examples, fitOptions = {}) {
        if (BUILT_IN.includes(name)) throw failure("invalid_argument", `'${name}' is the name of a shipped model`);
        const fitted = { examples, options: fitOptions };
        checkFitted(fitted);
        const model = await host.fit(name, examples, fitOptions);
        try {
          await host.fits.write(name, fitted);
        } catch (error) {
          host.forget(name); // what is not stored is not answered by either
          throw error;
        }
        return model.labels;
      },
    },
    async scoreContent(text) {
      const model = await host.model("content");
      return (await host.kernels()).scoreContent(model, text);
    },
    visit: async (item) => (await visits()).visit(item),
    recommend: async (query = {}) => (await visits()).recommend(query),
    async personalize(context, actions) {
      const decision = await (await personal()).decide(contextTexts(context), actions);
      await log("personalization.decision", decision);
      return decision;
    },
    async feedback(decision, reward) {
      await (await personal()).feedback(decision, reward);
      await log("personalization.feedback", { ...decision, reward });
    },
    models: {
      async update(name, caps = {}) {
        const { registry } = options;
        if (!registry) throw failure("invalid_argument", "no registry was given to the models");
        const store = await host.modelStore();
        const keys = readKeys(registry.keys);
        const updater = new ModelUpdater({
          store,
          registry: fetchRegistry(registry),
          verifier: webVerifier,
          keys,
          now: options.now ?? systemClock.wall,
          // What these kernels cannot load, such as a format newer than they are, must not replace what they can.
          accept: async (file) => (await host.kernels()).loadModel(file).close(),
        });
        const device = await rolloutId(await host.store());
        const own = { simd: simdSupported(), ...caps };
        const report = await updater.update(name, { device, caps: own, quant: options.quant ?? "int8" });
        if (report?.updated) host.forget(name);
        return report;
      },
      async rollback(name) {
        const { version } = await (await host.modelStore()).rollback(name);
        host.forget(name);
        return version;
      },
      async eraseLearned() {
        await (await visits()).erase();
        await (await personal()).erase();
        await host.fits.erase();
      },
      close: () => host.close(),
    },
  };
}

/** Random and never sent: it decides alone where this device stands in a roll-out. */
async function rolloutId(store: Store): Promise<Uint8Array> {
  const key = modelKey("d", "rollout");
  const found = await readJson(store, key);
  const text = (found?.value as { id?: unknown } | undefined)?.id;
  if (typeof text === "string") return new TextEncoder().encode(text);
  const id = toHex(systemRandom.bytes(16));
  const expects = found ? [] : [{ kind: "absent" as const, key, value: new Uint8Array(0) }];
  await store.commit({ level: "durable", expects, deletes: [], puts: [{ key, value: jsonBytes({ id }) }] });
  return new TextEncoder().encode(id);
}

/** The engine with models: `engine.predict("intent", "what is my balance")`. */
export function withModels<E extends EngineForModels>(engine: E, options: ModelsOptions = {}): E & Models {
  return Object.assign(engine, createModels(engine, options));
}

export { fetchBytes };

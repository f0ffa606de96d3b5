/**
 * Makes a Service Worker answer `predict`, without a network and without a page that has loaded anything.
 *
 * At install it keeps the kernels and the files of the models it was told of. A newer file that a page has put into
 * storage wins over the kept one. Kernels start with the first question and stay as long as the worker does.
 */

import { systemCrypto } from "../browser/contexts.ts";
import { asFailure, failure } from "../core/errors.ts";
import { kernelUrl, modelFile, openKernels, openModelDatabase } from "../models/files.ts";
import { ModelStore } from "../models/model-store.ts";
import type { PredictMessage, WorkerAnswer } from "../models/worker-client.ts";
import type { CoreKernels, KernelModel, PredictResult } from "../runtimes/core-kernels.ts";
import type { WorkerScope } from "./attach.ts";

declare const __OAS_VERSION__: string;

/** Which models a worker keeps and answers from. */
export interface ModelWorkerOptions {
  /** As given to `open`. */
  readonly name: string;
  /** As given to `open`. */
  readonly subject?: string | undefined;
  /** Models to keep, by name. Emotion is not among them unless the user has consented: name it then. */
  readonly models: readonly string[];
  /** Folder of the weights: `<weights>/<name>/model.oasm`. Default: `/models`. */
  readonly weights?: string | undefined;
  /** Where infer.wasm lies. Default: beside the worker's script. */
  readonly kernelUrl?: string | undefined;
}

const PREFIX = "oas-models-";
const INPUTS_MAX = 10_000; // kBatchInputsMax

const isPredict = (data: unknown, name: string): data is PredictMessage => {
  const message = data as Partial<PredictMessage> | null;
  return message?.type === "oas-predict" && message.name === name && Array.isArray(message.inputs);
};

/** Makes this worker answer `predictInWorker`, also without a network. */
export function attachModels(scope: WorkerScope, options: ModelWorkerOptions): void {
  const { name, subject = "", models, weights = "/models" } = options;
  if (!name || models.length === 0) throw failure("invalid_argument", "attachModels needs a name and models");
  const script = scope.location.href;
  const cacheName = `${PREFIX}${__OAS_VERSION__}`;
  const kernelsAt = kernelUrl(options.kernelUrl ?? "./infer.wasm", script);
  const folder = weights.replace(/\/+$/, "");
  const addresses = new Map(models.map((one) => [one, new URL(`${folder}/${one}/model.oasm`, script).href]));
  const kept = async (url: string): Promise<Response | undefined> => (await caches.open(cacheName)).match(url);

  let kernels: Promise<CoreKernels> | undefined;
  const loaded = new Map<string, Promise<{ readonly model: KernelModel; readonly sha256: string | undefined }>>();

  /** The newest file there is: a page may have replaced it since the last question. */
  const load = async (core: CoreKernels, model: string): Promise<KernelModel> => {
    const database = await openModelDatabase(name, subject, 0);
    try {
      const store = new ModelStore(database, systemCrypto);
      const sha256 = (await store.head(model))?.current.sha256;
      const held = await loaded.get(model);
      if (held && held.sha256 === sha256) return held.model;
      held?.model.close();
      const { file } = await modelFile({ store, address: (one) => addresses.get(one), kept }, model);
      const made = core.loadModel(file);
      loaded.set(model, Promise.resolve({ model: made, sha256 }));
      return made;
    } finally {
      database.close();
    }
  };

  const predict = async ({ model, inputs, options: how }: PredictMessage): Promise<PredictResult> => {
    if (!addresses.has(model)) throw failure("not_found", `the worker keeps no model '${model}'`);
    if (inputs.length > INPUTS_MAX) throw failure("limit_exceeded", "too many inputs", { detail: INPUTS_MAX });
    kernels ??= openKernels(kernelsAt, kept);
    const core = await kernels.catch((error: unknown) => {
      kernels = undefined; // the next question tries again
      throw error;
    });
    return core.predict(await load(core, model), inputs, how);
  };

  // One after another: two questions must not load the same model twice.
  let last: Promise<unknown> = Promise.resolve();
  const inTurn = (message: PredictMessage): Promise<PredictResult> => {
    const turn = last.then(() => predict(message));
    last = turn.catch(() => undefined);
    return turn;
  };

  scope.addEventListener("install", (event: ExtendableEvent) => {
    const wanted = [kernelsAt, ...addresses.values()].map((url) => new Request(url, { cache: "reload" }));
    event.waitUntil(caches.open(cacheName).then((cache) => cache.addAll(wanted)));
  });
  scope.addEventListener("activate", (event: ExtendableEvent) => {
    const drop = async (): Promise<void> => {
      const stale = (await caches.keys()).filter((one) => one.startsWith(PREFIX) && one !== cacheName);
      await Promise.all(stale.map((one) => caches.delete(one)));
    };
    event.waitUntil(drop());
  });
  scope.addEventListener("message", (event: ExtendableMessageEvent) => {
    if (!isPredict(event.data, name)) return;
    const reply = (answer: WorkerAnswer): void => event.ports[0]?.postMessage(answer);
    const answered = inTurn(event.data).then(
      (result) => reply({ result }),
      (error: unknown) => {
        const { code, message } = asFailure(error, "internal");
        reply({ code, message });
      },
    );
    event.waitUntil(answered);
  });
}

/** From the address of a prebuilt worker's script: &model=<name>, once for each, [&weights=&kernelUrl=]. */
export function modelOptionsFromQuery(href: string): ModelWorkerOptions | undefined {
  const query = new URL(href).searchParams;
  const [name, models] = [query.get("name"), query.getAll("model")];
  if (!name || models.length === 0) return undefined;
  return {
    name,
    models,
    subject: query.get("subject") ?? "",
    weights: query.get("weights") ?? undefined,
    kernelUrl: query.get("kernelUrl") ?? undefined,
  };
}

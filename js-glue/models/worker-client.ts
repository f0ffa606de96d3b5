/** Asks the Service Worker to predict: one set of kernels for all tabs, there even when no page has loaded any. */

import { type ErrorCode, failure } from "../core/errors.ts";
import type { ModelInput, PredictOptions, PredictResult } from "../runtimes/core-kernels.ts";

/** What a page posts; the port gets a WorkerAnswer. */
export interface PredictMessage {
  readonly type: "oas-predict";
  readonly name: string;
  readonly model: string;
  readonly inputs: readonly ModelInput[];
  readonly options: PredictOptions;
}

/** What a Service Worker answers: a result, or why there is none. */
export type WorkerAnswer = { readonly result: PredictResult } | { readonly code: ErrorCode; readonly message: string };

const ANSWER_MS_MAX = 30_000;

/** `name`: as given to `open`. Rejects with `offline` when no worker answers, and as the kernels do. */
export async function predictInWorker(
  name: string,
  model: string,
  inputs: readonly ModelInput[],
  options: PredictOptions = {},
): Promise<PredictResult> {
  const workers: ServiceWorkerContainer | undefined = globalThis.navigator?.serviceWorker;
  const worker = (await workers?.ready)?.active;
  if (!worker) throw failure("offline", "there is no Service Worker");
  const { port1, port2 } = new MessageChannel();
  const message: PredictMessage = { type: "oas-predict", name, model, inputs, options };
  const answer = await new Promise<WorkerAnswer>((resolve, reject) => {
    const late = setTimeout(() => reject(failure("offline", "the Service Worker does not answer")), ANSWER_MS_MAX);
    port1.onmessage = ({ data }: MessageEvent<WorkerAnswer>) => {
      clearTimeout(late);
      resolve(data);
    };
    worker.postMessage(message, [port2]);
  });
  port1.close();
  if ("result" in answer) return answer.result;
  throw failure(answer.code, answer.message);
}

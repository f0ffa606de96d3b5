/** The Service Worker that also predicts: `attachModels` for a worker of your own, or sw.models.js as it is. */

import { attach, optionsFromQuery, type WorkerScope } from "./attach.ts";
import { attachModels, modelOptionsFromQuery } from "./models.ts";

export { type AttachOptions, attach, type DrainMessage, type WorkerScope } from "./attach.ts";
export { attachModels, type ModelWorkerOptions } from "./models.ts";

declare const self: WorkerScope | undefined;

// Only when this very file is the worker's script; see index.ts.
if (typeof self !== "undefined" && import.meta.url === self.location.href) {
  const options = optionsFromQuery(self.location.href);
  if (options) attach(self, options);
  const models = modelOptionsFromQuery(self.location.href);
  if (models) attachModels(self, models);
}

/**
 * offline-ai-sync for Service Workers: import `attach` into a worker of your own, or register sw.js or sw.classic.js as
 * it is, with its options in the query of its address.
 */

import { attach, optionsFromQuery, type WorkerScope } from "./attach.ts";

export { type AttachOptions, attach, type DrainMessage, optionsFromQuery, type WorkerScope } from "./attach.ts";
export { type CapturedRequest, REQUEST_EVENT } from "./capture.ts";
export { keepRelease, type ReleaseMessage, type ReleaseOptions } from "./release.ts";

declare const self: WorkerScope | undefined;

// Only when this very file is the worker's script: imported into another worker, its address is not the worker's.
if (typeof self !== "undefined" && import.meta.url === self.location.href) {
  const options = optionsFromQuery(self.location.href);
  if (options) attach(self, options);
}

// Public data sets that proofs run on. They are not part of the repository; without them a claim says so and is skipped.

import { existsSync } from "node:fs";
import { join } from "node:path";
import { at } from "./run.mjs";

/** The folder of a data set, below $OAS_DATA or ../shared/data beside the checkout; undefined when it is not there. */
export function dataFolder(name) {
  const path = join(process.env.OAS_DATA ?? at("../shared/data"), name);
  return existsSync(path) ? path : undefined;
}

/** What a claim prints and returns when its data is missing; CI counts these lines. */
export function skippedWithoutData(name, log) {
  log(`SKIPPED (no data): ${name}`);
  return { ok: null, skipped: `no data: ${name} (set OAS_DATA)` };
}

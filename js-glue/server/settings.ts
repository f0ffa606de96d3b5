/** Settings from the environment. A name that starts like ours but is none of ours is refused: it is a typing error. */

import { failure } from "../core/errors.ts";

export interface Settings {
  readonly db: string | undefined;
  readonly credit: number;
}

const KNOWN = ["SYNC_INTERVAL", "CLEANUP_INTERVAL", "MAX_EVENTS_PER_BATCH", "MAX_CACHE_SIZE_MB"];
const PREFIX = "OFFLINE_AI_";
/** One full segment always fits. */
const CREDIT_MIN = 1_000;

/** Throws `invalid_argument` for an unknown name or a value that is no whole number. */
export function readSettings(environment: Readonly<Record<string, string | undefined>>): Settings {
  for (const name of Object.keys(environment)) {
    if (!name.startsWith(PREFIX)) continue;
    if (!KNOWN.includes(name.slice(PREFIX.length))) throw failure("invalid_argument", `unknown setting ${name}`);
    if (!/^\d{1,12}$/.test(environment[name] ?? ""))
      throw failure("invalid_argument", `${name} must be a whole number`);
  }
  const { DATABASE_URL: db, OFFLINE_AI_MAX_EVENTS_PER_BATCH: batch } = environment;
  return { db, credit: Math.max(CREDIT_MIN, Number(batch ?? 0)) };
}

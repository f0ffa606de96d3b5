/** Settings from the environment. A name that starts like ours but is none of ours is refused: it is a typing error. */

import { z } from "zod";
import { failure } from "../core/errors.ts";
import { ModelKey } from "./models/signing.ts";
import type { StandaloneOptions } from "./standalone.ts";

const PREFIX = "OFFLINE_AI_";
/** One full segment always fits, whatever the setting. */
const CREDIT_MIN = 1_000;

const whole = (standard: number, max = 1e12) =>
  z
    .string()
    .regex(/^\d{1,13}$/, "must be a whole number")
    .transform(Number)
    .pipe(z.number().max(max))
    .default(standard);
const text = z.string().min(1).max(2_048).optional();
const onOff = z.enum(["on", "off"]).optional();

const schema = z
  .object({
    DATABASE_URL: text,
    REDIS_URL: text,
    /** How often clients look for news by themselves, in milliseconds. */
    OFFLINE_AI_SYNC_INTERVAL: whole(30_000),
    /** How often maintenance runs, in milliseconds; 0 = never. */
    OFFLINE_AI_CLEANUP_INTERVAL: whole(86_400_000),
    /** Events wanted per push; a full segment of 1,000 is always taken. */
    OFFLINE_AI_MAX_EVENTS_PER_BATCH: whole(100, 1_000_000),
    /** Content cached at the server, per tenant. */
    OFFLINE_AI_MAX_CACHE_SIZE_MB: whole(500, 1_000_000),
    /** Days that applied events are kept; 0 = for ever. */
    OFFLINE_AI_RETENTION_DAYS: whole(0, 100_000),
    /** off = analytics are kept as rows, an event each. */
    OFFLINE_AI_ANALYTICS_BLOCKS: onOff,
    /** Days after which a silent replica of documents no longer holds anything back. */
    OFFLINE_AI_REPLICA_DAYS: whole(14, 100_000),
    /** Where maintenance puts copies of an SQLite database. */
    OFFLINE_AI_BACKUP_FOLDER: text,
    /** Events a minute and subject; 0 = no limit. */
    OFFLINE_AI_RATE_EVENTS_PER_MINUTE: whole(600_000),
    /** How long one request may take to arrive, in milliseconds. */
    OFFLINE_AI_REQUEST_TIMEOUT: whole(60_000, 3_600_000),
    /** Database connections of this process. */
    OFFLINE_AI_CONNECTIONS_MAX: whole(10, 10_000),
    /** PostgreSQL's row level security: on, off, or as it is. */
    OFFLINE_AI_ROW_SECURITY: onOff,
    /** off = the schema is left as it is, and may be one migration behind. */
    OFFLINE_AI_MIGRATE: onOff,
    /** File of the private key that signs models and their manifest; `offline-ai-sync models key` makes one. */
    OFFLINE_AI_MODEL_KEY_FILE: text,
    /** Public keys, separated by commas: statements must be signed by one of them. */
    OFFLINE_AI_MODEL_PUBLISHERS: text,
    /** How long a manifest is good for; a device refuses an older one. */
    OFFLINE_AI_MODEL_MANIFEST_DAYS: whole(14, 3_650),
    /** Where the application's token issuer publishes its keys; with issuer and audience. */
    OFFLINE_AI_JWKS_URL: z.url({ protocol: /^https?$/ }).optional(),
    OFFLINE_AI_JWT_ISSUER: text,
    OFFLINE_AI_JWT_AUDIENCE: text,
    /** The tenant of tokens that name none. */
    OFFLINE_AI_JWT_TENANT: text,
  })
  .refine(
    (all) =>
      all.OFFLINE_AI_JWKS_URL === undefined ||
      (all.OFFLINE_AI_JWT_ISSUER !== undefined && all.OFFLINE_AI_JWT_AUDIENCE !== undefined),
    { path: ["OFFLINE_AI_JWKS_URL"], message: "needs OFFLINE_AI_JWT_ISSUER and OFFLINE_AI_JWT_AUDIENCE" },
  );

export type Settings = z.output<typeof schema>;

/** Throws `invalid_argument` for an unknown name and for a value that does not fit, naming all of them. */
export function readSettings(environment: Readonly<Record<string, string | undefined>>): Settings {
  const known = Object.keys(schema.shape);
  for (const name of Object.keys(environment))
    if (name.startsWith(PREFIX) && !known.includes(name)) throw failure("invalid_argument", `unknown setting ${name}`);
  const given = Object.fromEntries(known.map((name) => [name, environment[name] || undefined]));
  const parsed = schema.safeParse(given);
  if (parsed.success) return parsed.data;
  const issues = parsed.error.issues.map(({ path, message }) => `${path.join(".")}: ${message}`);
  throw failure("invalid_argument", issues.join("; "));
}

/** The settings as options of the standalone server; `db` is left to the caller. Throws when the model key cannot be read. */
export function serverOptions(settings: Settings): Partial<StandaloneOptions> {
  const jwks = settings.OFFLINE_AI_JWKS_URL;
  const modelKey = settings.OFFLINE_AI_MODEL_KEY_FILE;
  const publishers = settings.OFFLINE_AI_MODEL_PUBLISHERS;
  return {
    credit: Math.max(CREDIT_MIN, settings.OFFLINE_AI_MAX_EVENTS_PER_BATCH),
    syncIntervalMs: settings.OFFLINE_AI_SYNC_INTERVAL,
    rateEventsPerMinute: settings.OFFLINE_AI_RATE_EVENTS_PER_MINUTE,
    requestTimeoutMs: settings.OFFLINE_AI_REQUEST_TIMEOUT,
    ...(settings.REDIS_URL === undefined ? {} : { redis: settings.REDIS_URL }),
    cleanupIntervalMs: settings.OFFLINE_AI_CLEANUP_INTERVAL,
    retentionDays: settings.OFFLINE_AI_RETENTION_DAYS,
    ...(settings.OFFLINE_AI_ANALYTICS_BLOCKS ? { analyticsBlocks: settings.OFFLINE_AI_ANALYTICS_BLOCKS === "on" } : {}),
    replicaDays: settings.OFFLINE_AI_REPLICA_DAYS,
    ...(settings.OFFLINE_AI_BACKUP_FOLDER === undefined ? {} : { backupFolder: settings.OFFLINE_AI_BACKUP_FOLDER }),
    models: {
      ...(modelKey === undefined ? {} : { key: ModelKey.fromFile(modelKey) }),
      manifestDays: settings.OFFLINE_AI_MODEL_MANIFEST_DAYS,
      ...(publishers === undefined ? {} : { publishers: publishers.split(",").map((key) => key.trim()) }),
    },
    connectionsMax: settings.OFFLINE_AI_CONNECTIONS_MAX,
    ...(settings.OFFLINE_AI_MIGRATE ? { schema: { apply: settings.OFFLINE_AI_MIGRATE === "on" } } : {}),
    ...(settings.OFFLINE_AI_ROW_SECURITY ? { rowSecurity: settings.OFFLINE_AI_ROW_SECURITY === "on" } : {}),
    ...(jwks === undefined
      ? {}
      : {
          jwt: {
            jwks,
            issuer: settings.OFFLINE_AI_JWT_ISSUER ?? "",
            audience: settings.OFFLINE_AI_JWT_AUDIENCE ?? "",
            ...(settings.OFFLINE_AI_JWT_TENANT === undefined ? {} : { tenant: settings.OFFLINE_AI_JWT_TENANT }),
          },
        }),
  };
}

const withoutPassword = (address: string): string => {
  if (!URL.canParse(address)) return address;
  const url = new URL(address);
  if (url.password !== "") url.password = "redacted";
  return url.href;
};

/** What may be printed: passwords inside addresses are replaced. */
export const redacted = (settings: Settings): Readonly<Record<string, unknown>> =>
  Object.fromEntries(
    Object.entries(settings).map(([name, value]) => [name, typeof value === "string" ? withoutPassword(value) : value]),
  );

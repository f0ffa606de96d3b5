/** `offline-ai-sync models …`: makes a key, publishes a file, changes who gets it, renews what would expire. */

import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import type { Metric } from "../../core/model-statement.ts";
import { capsOf } from "./caps.ts";
import { makeStatement, publishModel, renewModels, type Validity } from "./publish.ts";
import { ModelKey } from "./signing.ts";

const DAY_MS = 86_400_000;
/** Long enough to be renewed with a release now and then, short enough that nobody can hold a model back for ever. */
const VALID_DAYS = 365;

export const MODELS_USAGE = `usage: offline-ai-sync models key <file>       a new signing key; prints the public key that apps pin
       offline-ai-sync models publish <model.oasm> --url <address> [options]
       offline-ai-sync models renew [<model id>...] --url <address> [--sign <file>] [--days <number>]
                                                   the same files again, for another while; default: all that are published

  --url <address>        of the API, such as http://127.0.0.1:8787/api/offline-ai
  --sign <file>          sign the statement with this private key; else the server signs it, where it may
  --days <number>        how long devices may take the file (default ${VALID_DAYS}; 0 = for ever)
  --metrics <file>       how it was measured: JSON, a list of metrics
  --state <state>        canary or active (default: stays a draft)
  --percent <number>     of all devices
  --caps <list>          what a device needs: simd,memoryMB=512
  --slug, --version, --quant, --licence, --attribution <text>   instead of what the file says
The credential of an administrator is read from the variable OAS_KEY.`;

async function publish(args: readonly string[]): Promise<string> {
  const text = { type: "string" } as const;
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      ...{ url: text, sign: text, days: text, metrics: text, state: text, percent: text, caps: text },
      ...{ slug: text, version: text, quant: text, licence: text, attribution: text },
    },
  });
  const [path] = positionals;
  const { url, state, slug, version, quant, licence, attribution } = values;
  const credential = process.env["OAS_KEY"];
  if (!path || !url || !credential) throw new TypeError(`a file, --url and OAS_KEY are needed\n${MODELS_USAGE}`);
  if (state !== undefined && state !== "canary" && state !== "active") throw new TypeError(`--state ${state} is none`);
  const file = new Uint8Array(readFileSync(path));
  const statement = await makeStatement(file, {
    ...{ slug, version, quant, licence, attribution },
    validity: validityOf(values.days),
    minCaps: values.caps === undefined ? undefined : capsOf(values.caps),
    metrics: values.metrics === undefined ? undefined : (JSON.parse(readFileSync(values.metrics, "utf8")) as Metric[]),
  });
  const key = values.sign === undefined ? undefined : ModelKey.fromFile(values.sign);
  const percent = values.percent === undefined ? undefined : Number(values.percent);
  return publishModel({ url, credential, statement, file, key, state, percent });
}

function validityOf(text: string | undefined): Validity {
  const days = text === undefined ? VALID_DAYS : Number(text);
  if (!Number.isInteger(days) || days < 0 || days > 36_500) throw new TypeError(`--days ${text} is no number of days`);
  const issuedAt = Date.now();
  return days === 0 ? { issuedAt } : { issuedAt, expiresAt: issuedAt + days * DAY_MS };
}

async function renew(args: readonly string[]): Promise<string> {
  const text = { type: "string" } as const;
  const options = { url: text, sign: text, days: text };
  const { values, positionals: models } = parseArgs({ args: [...args], allowPositionals: true, options });
  const { url, sign, days } = values;
  const credential = process.env["OAS_KEY"];
  if (!url || !credential) throw new TypeError(`--url and OAS_KEY are needed\n${MODELS_USAGE}`);
  const key = sign === undefined ? undefined : ModelKey.fromFile(sign);
  return (await renewModels({ url, credential, key, models, validity: validityOf(days) })).join("\n");
}

/** Resolves with what is to be printed. Rejects with `TypeError` for wrong arguments, and as `publishModel` does. */
export async function runModels([command, ...rest]: readonly string[]): Promise<string> {
  if (command === "publish") return publish(rest);
  if (command === "renew") return renew(rest);
  if (command === "key" && rest[0] !== undefined) return ModelKey.create(rest[0]).publicKey;
  return MODELS_USAGE;
}

/** Files and statements for tests of the registry: shipped models, and changed ones whose own checksum fits. */

import { createHash, generateKeyPairSync } from "node:crypto";
import { readFileSync } from "node:fs";
import { blockHashes, type ModelStatement } from "../../js-glue/core/model-statement.ts";
import { ModelKey } from "../../js-glue/server/models/signing.ts";

export const newKey = (): ModelKey => new ModelKey(generateKeyPairSync("ed25519").privateKey);

const sha256 = (bytes: Uint8Array): Uint8Array => createHash("sha256").update(bytes).digest();
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
const root = process.env["OAS_ROOT"] ?? ".";

export const shippedModel = (name: string): Uint8Array<ArrayBuffer> =>
  new Uint8Array(readFileSync(`${root}/models/${name}/model.oasm`));

/** The model with another version in its header and one byte of its weights changed here and there: still a good file. */
export function nextVersion(file: Uint8Array, version: string, changes: readonly number[]): Uint8Array<ArrayBuffer> {
  const next = new Uint8Array(file);
  const at = Buffer.from(next.buffer).indexOf("1.0.0", 64);
  if (at < 0 || version.length !== 5) throw new Error("no version to replace");
  next.set(new TextEncoder().encode(version), at);
  // From the embedding's rows on: any i8 is a weight there.
  for (const place of changes) next[place] = (next[place] ?? 0) ^ 1;
  next.set(sha256(next.subarray(0, next.length - 32)), next.length - 32);
  return next;
}

interface Shipped {
  readonly models: readonly {
    readonly id: string;
    readonly metrics: ModelStatement["metrics"];
    licence: string;
    attribution: string;
  }[];
}

export async function statementOf(
  slug: string,
  file: Uint8Array,
  more: Partial<ModelStatement> = {},
): Promise<ModelStatement> {
  const { models } = JSON.parse(readFileSync(`${root}/models/manifest.json`, "utf8")) as Shipped;
  const about = models.find(({ id }) => id === slug);
  return {
    slug,
    kind: "text",
    version: "1.0.0",
    runtime: "native",
    quant: "int8",
    format: "oasm-1",
    bytes: file.length,
    sha256: hex(sha256(file)),
    blocksSha256: hex(sha256(await blockHashes({ sha256 }, file))),
    minCaps: {},
    metrics: about?.metrics ?? [],
    licence: about?.licence ?? "Apache-2.0",
    attribution: about?.attribution ?? "made for a test",
    ...more,
  };
}

/** What an administrator's program does: statement, file, and who gets it. Throws what the server refused. */
export async function publish(
  call: (method: string, path: string, body?: object | Uint8Array) => Promise<Response>,
  file: Uint8Array,
  statement: ModelStatement,
  change: object = { state: "active" },
): Promise<string> {
  const made = await good(await call("POST", "/models", { statement: JSON.stringify(statement) }));
  const { modelId } = (await made.json()) as { modelId: string };
  await good(await call("PUT", `/models/${modelId}/artifact`, file));
  await good(await call("PUT", `/models/${modelId}`, change));
  return modelId;
}

async function good(response: Response): Promise<Response> {
  if (!response.ok) throw new Error(`${response.url} answered ${response.status}: ${await response.text()}`);
  return response;
}

/** Requests of one credential, JSON or bytes. */
export const caller = (url: string, key: string) => {
  const call = (
    method: string,
    path: string,
    body?: object | Uint8Array,
    headers: Record<string, string> = {},
  ): Promise<Response> =>
    fetch(`${url}${path}`, {
      method,
      headers: {
        authorization: `Bearer ${key}`,
        ...(body
          ? { "content-type": body instanceof Uint8Array ? "application/octet-stream" : "application/json" }
          : {}),
        ...headers,
      },
      ...(body ? { body: body instanceof Uint8Array ? Buffer.from(body) : JSON.stringify(body) } : {}),
    });
  return Object.assign(call, { key });
};

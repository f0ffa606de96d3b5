/** A model file becomes a statement, and goes to a registry: what `offline-ai-sync models publish` does. */

import { failure } from "../../core/errors.ts";
import { blockHashes, type DeviceCaps, type Metric, type ModelStatement } from "../../core/model-statement.ts";
import { sha256 } from "./rows.ts";
import type { ModelKey } from "./signing.ts";

const MAGIC = 0x4d53414f;
const FIXED_BYTES = 64;
const KINDS = ["text", "numeric", "history"] as const;

/** What the file says of itself (docs/models.md has the format). Throws `malformed` for what is no such file. */
export function describeFile(file: Uint8Array): {
  readonly slug: string;
  readonly version: string;
  readonly kind: ModelStatement["kind"];
  readonly licence?: string;
  readonly attribution?: string;
} {
  const view = Buffer.from(file.buffer, file.byteOffset, file.length);
  if (view.length < FIXED_BYTES + 32 || view.readUInt32LE(0) !== MAGIC)
    throw failure("malformed", "this is no OASM file");
  const [headerBytes, metaBytes] = [view.readUInt32LE(8), view.readUInt32LE(12)];
  let at = FIXED_BYTES;
  const text = (): string => {
    // Names are short: a length of one byte.
    const size = view[at] ?? 0;
    if (size >= 0x80 || at + 1 + size >= FIXED_BYTES + headerBytes)
      throw failure("malformed", "the header is cut short");
    at += 1 + size;
    return view.toString("utf8", at - size, at);
  };
  const [slug, version] = [text(), text()];
  const kind = KINDS[view[at] ?? 255];
  if (!kind) throw failure("malformed", "the file names no kind of model");
  const meta = view.toString("utf8", FIXED_BYTES + headerBytes, FIXED_BYTES + headerBytes + metaBytes);
  return { slug, version, kind, ...readMeta(meta) };
}

function readMeta(meta: string): { readonly licence?: string; readonly attribution?: string } {
  if (meta === "") return {};
  try {
    return JSON.parse(meta) as ReturnType<typeof readMeta>;
  } catch (error) {
    throw failure("malformed", "what the file says of itself is no JSON", { cause: error });
  }
}

export interface StatementParts {
  /** Instead of the file's own. */
  readonly slug?: string | undefined;
  readonly version?: string | undefined;
  readonly licence?: string | undefined;
  readonly attribution?: string | undefined;
  readonly quant?: string | undefined;
  readonly minCaps?: DeviceCaps | undefined;
  readonly metrics?: readonly Metric[] | undefined;
}

/** Throws `malformed` when neither the file nor `parts` says what a statement needs. */
export async function makeStatement(file: Uint8Array, parts: StatementParts): Promise<ModelStatement> {
  const about = describeFile(file);
  const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
  const licence = parts.licence ?? about.licence;
  const attribution = parts.attribution ?? about.attribution;
  if (!licence || !attribution) throw failure("malformed", "the file names no licence or attribution: give them");
  return {
    slug: parts.slug ?? about.slug,
    kind: about.kind,
    version: parts.version ?? about.version,
    runtime: "native",
    quant: parts.quant ?? "int8",
    format: "oasm-1",
    bytes: file.length,
    sha256: hex(sha256(file)),
    blocksSha256: hex(sha256(await blockHashes({ sha256 }, file))),
    minCaps: parts.minCaps ?? {},
    metrics: (parts.metrics ?? []).map(({ dataset, datasetSha256, split, metric, value, baseline, n, ci95 }) => {
      return { dataset, datasetSha256, split, metric, value, baseline, n, ci95 };
    }),
    licence,
    attribution,
  };
}

export interface Publication {
  /** With the base path, such as `https://example.org/api/offline-ai`. */
  readonly url: string;
  /** Of an administrator. */
  readonly credential: string;
  readonly statement: ModelStatement;
  readonly file: Uint8Array;
  /** Signs in the publisher's name; without it the server signs, where it may. */
  readonly key?: ModelKey | undefined;
  readonly state?: "canary" | "active" | undefined;
  readonly percent?: number | undefined;
}

/** Resolves with the model's id; rejects with `unauthorized`, `rejected` (with what the server said) or `offline`. */
export async function publishModel(publication: Publication): Promise<string> {
  const { url, credential, file, key, state, percent } = publication;
  const statement = JSON.stringify(publication.statement);
  const signature = key && Buffer.from(key.signStatement(statement)).toString("base64");
  const call = async (method: string, path: string, type: string, body: string | Uint8Array): Promise<Response> => {
    const headers = { authorization: `Bearer ${credential}`, "content-type": type };
    let response: Response;
    try {
      response = await fetch(url.replace(/\/+$/, "") + path, {
        method,
        headers,
        body: typeof body === "string" ? body : Buffer.from(body),
      });
    } catch (error) {
      throw failure("offline", "the registry could not be reached", { cause: error });
    }
    if (response.ok) return response;
    const code = response.status === 401 || response.status === 403 ? "unauthorized" : "rejected";
    throw failure(code, `${method} ${path}: ${response.status} ${await response.text()}`);
  };
  const json = "application/json";
  const made = await call("POST", "/models", json, JSON.stringify({ statement, signature }));
  const { modelId } = (await made.json()) as { readonly modelId: string };
  const path = `/models/${encodeURIComponent(modelId)}`;
  await call("PUT", `${path}/artifact`, "application/octet-stream", file);
  const rollout = percent === undefined ? {} : { rollout: { percent } };
  if (state) await call("PUT", path, json, JSON.stringify({ state, ...rollout }));
  return modelId;
}

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

/** What the file does not say of itself, or should say otherwise. */
export interface StatementParts {
  /** Instead of the file's own. */
  readonly slug?: string | undefined;
  readonly version?: string | undefined;
  readonly licence?: string | undefined;
  readonly attribution?: string | undefined;
  readonly quant?: string | undefined;
  readonly minCaps?: DeviceCaps | undefined;
  readonly metrics?: readonly Metric[] | undefined;
  /** How long devices may take the file; without it for ever. */
  readonly validity?: Validity | undefined;
}

/** Milliseconds since 1970. */
export interface Validity {
  readonly issuedAt: number;
  /** Absent: for ever. */
  readonly expiresAt?: number;
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
    ...parts.validity,
  };
}

/** A model on its way to a registry. */
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

/** The registry's answer; rejects with `unauthorized`, `rejected` (with what the server said) or `offline`. */
async function call(
  { url, credential }: Pick<Publication, "url" | "credential">,
  method: string,
  path: string,
  body?: object | Uint8Array,
): Promise<Response> {
  const isFile = body instanceof Uint8Array;
  const type = isFile ? "application/octet-stream" : "application/json";
  const headers = { authorization: `Bearer ${credential}`, ...(body ? { "content-type": type } : {}) };
  const sent = body && { body: isFile ? Buffer.from(body) : JSON.stringify(body) };
  let response: Response;
  try {
    response = await fetch(url.replace(/\/+$/, "") + path, { method, headers, ...sent });
  } catch (error) {
    throw failure("offline", "the registry could not be reached", { cause: error });
  }
  if (response.ok) return response;
  const code = response.status === 401 || response.status === 403 ? "unauthorized" : "rejected";
  throw failure(code, `${method} ${path}: ${response.status} ${await response.text()}`);
}

/** Resolves with the model's id. */
async function sendStatement(to: Pick<Publication, "url" | "credential" | "key">, about: object): Promise<string> {
  const statement = JSON.stringify(about);
  const signature = to.key && Buffer.from(to.key.signStatement(statement)).toString("base64");
  const made = await call(to, "POST", "/models", { statement, ...(signature ? { signature } : {}) });
  return ((await made.json()) as { readonly modelId: string }).modelId;
}

/** Resolves with the model's id; rejects with `unauthorized`, `rejected` (with what the server said) or `offline`. */
export async function publishModel(publication: Publication): Promise<string> {
  const { statement, file, state, percent } = publication;
  const modelId = await sendStatement(publication, statement);
  const path = `/models/${encodeURIComponent(modelId)}`;
  await call(publication, "PUT", `${path}/artifact`, file);
  const rollout = percent === undefined ? {} : { rollout: { percent } };
  if (state) await call(publication, "PUT", path, { state, ...rollout });
  return modelId;
}

/** Which statements of a registry are to hold for another while. */
export interface Renewal extends Pick<Publication, "url" | "credential" | "key"> {
  readonly validity: Validity;
  /** Ids of models; empty = all that are published. */
  readonly models: readonly string[];
}

/** Says of the same files again that they are good, for another while. Resolves with their ids; rejects as `publishModel` does. */
export async function renewModels(renewal: Renewal): Promise<readonly string[]> {
  const { models, validity } = renewal;
  const renewed: string[] = [];
  for (const statement of models.length > 0 ? await named(renewal, models) : await published(renewal)) {
    const { issuedAt: _, expiresAt: __, ...about } = JSON.parse(statement) as ModelStatement;
    renewed.push(await sendStatement(renewal, { ...about, ...validity }));
  }
  return renewed;
}

interface Listed {
  readonly statement: string;
}

const named = (renewal: Renewal, models: readonly string[]): Promise<readonly string[]> =>
  Promise.all(
    models.map(async (id) => {
      const shown = await call(renewal, "GET", `/models/${encodeURIComponent(id)}`);
      return ((await shown.json()) as Listed).statement;
    }),
  );

async function published(renewal: Renewal): Promise<readonly string[]> {
  const statements: string[] = [];
  for (let cursor: string | null = ""; cursor !== null; ) {
    const response = await call(renewal, "GET", `/models?limit=500&cursor=${encodeURIComponent(cursor)}`);
    const page = (await response.json()) as { readonly items: readonly Listed[]; readonly nextCursor: string | null };
    statements.push(...page.items.map(({ statement }) => statement));
    cursor = page.nextCursor;
  }
  return statements;
}

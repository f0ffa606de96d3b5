/**
 * A typed client, in TypeScript, from the OpenAPI document: one method per operation, no dependencies, runs where `fetch`
 * does. `offline-ai-sync client > client.ts` writes it.
 */

import { BATCH_MEDIA, FILE_MEDIA, type OpenApi, type Operation } from "./openapi.ts";

interface Schema {
  readonly type?: string | readonly string[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly items?: Schema;
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly anyOf?: readonly Schema[];
  readonly oneOf?: readonly Schema[];
  readonly additionalProperties?: boolean | Schema;
  readonly default?: unknown;
}

const DEPTH_MAX = 32;
const quoted = (name: string): string => (/^[A-Za-z_$][\w$]*$/.test(name) ? name : JSON.stringify(name));

/** The TypeScript type of a JSON Schema; what it does not describe is `unknown`. */
export function typeOf(schema: Schema, depth = 0): string {
  if (depth > DEPTH_MAX) return "unknown";
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(" | ");
  const choices = schema.anyOf ?? schema.oneOf;
  if (choices) return choices.map((one) => typeOf(one, depth + 1)).join(" | ");
  switch (schema.type) {
    case "string":
    case "boolean":
    case "null":
      return schema.type;
    case "number":
    case "integer":
      return "number";
    case "array":
      return `readonly (${typeOf(schema.items ?? {}, depth + 1)})[]`;
    case "object":
      return objectType(schema, depth);
    default:
      return "unknown";
  }
}

function objectType({ properties = {}, required = [], additionalProperties }: Schema, depth: number): string {
  const members = Object.entries(properties).map(([name, property]) => {
    const optional = required.includes(name) && property.default === undefined ? "" : "?";
    const type = typeOf(property, depth + 1);
    return `readonly ${quoted(name)}${optional}: ${type}${optional ? " | undefined" : ""}`;
  });
  const more = additionalProperties;
  if (members.length === 0)
    return `Readonly<Record<string, ${typeof more === "object" ? typeOf(more, depth + 1) : "unknown"}>>`;
  if (more === true || typeof more === "object") members.push("readonly [name: string]: unknown");
  return `{ ${members.join("; ")} }`;
}

function methodSource(
  path: string,
  method: string,
  { operationId, summary, parameters, requestBody, responses }: Operation,
) {
  const inPath = parameters.filter((one) => one.in === "path");
  const inQuery = parameters.filter((one) => one.in === "query");
  const json = requestBody?.content["application/json"];
  const bytes = [BATCH_MEDIA, FILE_MEDIA].find((media) => requestBody?.content[media]);
  const answers = Object.entries(responses).find(([status]) => status.startsWith("2"))?.[1] as {
    readonly content?: Readonly<Record<string, { readonly schema?: Schema }>>;
  };
  const [media] = Object.keys(answers.content ?? {});
  const answer =
    media === undefined
      ? (["void", "none"] as const)
      : media === "application/json"
        ? ([typeOf(answers.content?.[media]?.schema ?? {}), "json"] as const)
        : media === BATCH_MEDIA
          ? (["Uint8Array", "bytes"] as const)
          : media === "text/event-stream" || media === "application/x-ndjson" || media === "application/octet-stream"
            ? (["Response", "stream"] as const)
            : (["string", "text"] as const);
  const inputs = [
    ...inPath.map(({ name }) => `readonly ${quoted(name)}: string`),
    ...inQuery.map(
      (one) =>
        `readonly ${quoted(one.name)}${one.required ? "" : "?"}: ${typeOf(one.schema as Schema)}${one.required ? "" : " | undefined"}`,
    ),
    ...(json ? [`readonly body: ${typeOf(json.schema as Schema)}`] : []),
    ...(bytes ? ["readonly body: Uint8Array"] : []),
  ];
  const needed = inPath.length > 0 || requestBody || inQuery.some((one) => one.required);
  const parameter = inputs.length === 0 ? "" : `input: { ${inputs.join("; ")} }${needed ? "" : " = {}"}, `;
  const target = `\`${path.replace(/\{(\w+)\}/g, (_, name: string) => `\${encodeURIComponent(input.${name})}`)}\``;
  const query =
    inQuery.length > 0 ? `{ ${inQuery.map(({ name }) => `${quoted(name)}: input.${name}`).join(", ")} }` : "undefined";
  const body = json ? "JSON.stringify(input.body)" : bytes ? "input.body" : "undefined";
  const type = json ? '"application/json"' : bytes ? JSON.stringify(bytes) : "undefined";
  return `  /** ${summary}. */
  ${operationId}(${parameter}options: CallOptions = {}): Promise<${answer[0]}> {
    return this.#call<${answer[0]}>("${method.toUpperCase()}", ${target}, ${query}, ${type}, ${body}, "${answer[1]}", options);
  }
`;
}

const HEAD = `// Made from the OpenAPI document of offline-ai-sync. Do not edit.

export interface CallOptions {
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
}

/** What the server refused, by its stable code. */
export class ApiProblem extends Error {
  override readonly name = "ApiProblem";
  readonly status: number;
  readonly code: string;
  readonly retryAfterMs: number | undefined;
  constructor(status: number, code: string, detail: string, retryAfterMs: number | undefined) {
    super(detail);
    this.status = status;
    this.code = code;
    this.retryAfterMs = retryAfterMs;
  }
}

type Answer = "none" | "json" | "bytes" | "stream" | "text";

export class ApiClient {
  readonly #base: string;
  readonly #credential: () => string | undefined;

  /** \`base\` is the server's address with the base path; \`credential\` gives the current bearer token. */
  constructor(base: string, credential: () => string | undefined) {
    this.#base = base;
    this.#credential = credential;
  }

  async #call<T>(
    method: string,
    path: string,
    query: Readonly<Record<string, unknown>> | undefined,
    type: string | undefined,
    body: string | Uint8Array | undefined,
    answer: Answer,
    options: CallOptions,
  ): Promise<T> {
    const search = new URLSearchParams();
    for (const [name, value] of Object.entries(query ?? {})) if (value !== undefined) search.set(name, String(value));
    const credential = this.#credential();
    const response = await fetch(this.#base + path + (search.size > 0 ? \`?\${search}\` : ""), {
      method,
      headers: {
        ...(credential === undefined ? {} : { authorization: \`Bearer \${credential}\` }),
        ...(type === undefined ? {} : { "content-type": type }),
        ...options.headers,
      },
      ...(body === undefined ? {} : { body: body as BodyInit }),
      ...(options.signal ? { signal: options.signal } : {}),
    });
    if (!response.ok) {
      const problem = (await response.json().catch(() => ({}))) as { code?: string; detail?: string; retryAfterMs?: number };
      throw new ApiProblem(response.status, problem.code ?? "unknown", problem.detail ?? response.statusText, problem.retryAfterMs);
    }
    if (answer === "stream") return response as T;
    if (answer === "json") return (await response.json()) as T;
    if (answer === "bytes") return new Uint8Array(await response.arrayBuffer()) as T;
    const text = await response.text();
    return (answer === "text" ? text : undefined) as T;
  }

`;

/** The source text of the client. */
export function clientSource(document: OpenApi): string {
  const methods = Object.entries(document.paths).flatMap(([path, operations]) =>
    Object.entries(operations).map(([method, operation]) => methodSource(path, method, operation)),
  );
  return `${HEAD}${methods.join("\n")}}\n`;
}

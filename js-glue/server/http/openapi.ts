/** The OpenAPI 3.1 document of a route table: schemas come from Zod, everything else from the table itself. */

import { z } from "zod";
import { ERROR_CODES } from "./problem.ts";
import type { Route } from "./route.ts";

type Json = Readonly<Record<string, unknown>>;

export interface OpenApi {
  readonly openapi: "3.1.0";
  readonly info: Json;
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly servers: readonly Json[];
  readonly components: Json;
}

export interface Operation {
  readonly operationId: string;
  readonly summary: string;
  readonly tags: readonly string[];
  readonly security: readonly Json[];
  readonly parameters: readonly {
    readonly name: string;
    readonly in: string;
    readonly required: boolean;
    readonly schema: Json;
  }[];
  readonly requestBody?: {
    readonly required: boolean;
    readonly content: Readonly<Record<string, { readonly schema: Json }>>;
  };
  readonly responses: Readonly<Record<string, Json>>;
}

export const BATCH_MEDIA = "application/vnd.oas.batch";
export const FILE_MEDIA = "application/octet-stream";

/** JSON Schema 2020-12 of what a caller may send (`input`) or gets (`output`). */
export function schemaOf(type: z.ZodType, io: "input" | "output"): Json {
  const { $schema: _, ...schema } = z.toJSONSchema(type, { io, unrepresentable: "any" }) as Record<string, unknown>;
  return schema;
}

/** `GET /device/:deviceId/status` becomes `getDeviceStatus`, `GET /models/:modelId` becomes `getModelsByModelId`. */
export function operationId({ method, path }: Pick<Route, "method" | "path">): string {
  const parts = path.split("/").filter(Boolean);
  const words = parts.filter((part) => !part.startsWith(":")).flatMap((part) => part.split(/[-._]/));
  const lastWord = parts.findLastIndex((part) => !part.startsWith(":"));
  const by = parts.slice(lastWord + 1).map((part) => part.slice(1));
  return [method.toLowerCase(), ...words, ...(by.length > 0 ? ["by"] : []), ...by]
    .map((word, i) => (i === 0 ? word : word.charAt(0).toUpperCase() + word.slice(1)))
    .join("");
}

function parametersOf(type: z.ZodType, place: "path" | "query"): Operation["parameters"] {
  const { properties = {}, required = [] } = schemaOf(type, "input") as {
    readonly properties?: Readonly<Record<string, Json>>;
    readonly required?: readonly string[];
  };
  return Object.entries(properties).map(([name, schema]) => ({
    name,
    in: place,
    required: place === "path" || required.includes(name),
    // Everything in a URL is text; what Zod coerces is described by what it becomes.
    schema: Object.keys(schema).length === 0 ? { type: "string" } : schema,
  }));
}

function requestBody(route: Route): Omit<NonNullable<Operation["requestBody"]>, "required"> | undefined {
  if (route.body === "none") return undefined;
  const binary = route.body === "bytes" ? BATCH_MEDIA : route.body === "file" ? FILE_MEDIA : undefined;
  if (binary) return { content: { [binary]: { schema: { type: "string", format: "binary" } } } };
  return { content: { "application/json": { schema: schemaOf(route.json, "input") } } };
}

function answerOf({ body, doc: { answer, status = 200 } }: Route): readonly [string, Json] {
  if (status === 204) return ["204", { description: "Done; there is nothing to say" }];
  const described = { description: "Done" };
  if (typeof answer === "string") return [String(status), { ...described, content: { [answer]: {} } }];
  if (answer)
    return [String(status), { ...described, content: { "application/json": { schema: schemaOf(answer, "output") } } }];
  if (body === "bytes")
    return [
      String(status),
      { ...described, content: { [BATCH_MEDIA]: { schema: { type: "string", format: "binary" } } } },
    ];
  return [String(status), { ...described, content: { "application/json": { schema: {} } } }];
}

const problems = (route: Route): Readonly<Record<string, Json>> => {
  const of = (description: string): Json => ({
    description,
    content: { "application/problem+json": { schema: { $ref: "#/components/schemas/Problem" } } },
  });
  return {
    "400": of("The request does not fit"),
    ...(route.scope === undefined ? {} : { "401": of("No valid credential"), "403": of("Not allowed") }),
    ...(route.path.includes(":") || route.body !== "none" ? { "404": of("Unknown, or somebody else's") } : {}),
    ...(route.body === "none" ? {} : { "413": of("Too large"), "415": of("Another media type or encoding") }),
    "429": of("More than the rate limit"),
    "503": of("Try again after Retry-After"),
  };
};

function operation(route: Route): Operation {
  const body = requestBody(route);
  const [status, answer] = answerOf(route);
  return {
    operationId: operationId(route),
    summary: route.doc.summary ?? `${route.method} ${route.path}`,
    tags: [route.path.split("/")[1] ?? "other"],
    security: route.scope === undefined ? [] : [{ bearer: [route.scope] }],
    parameters: [...parametersOf(route.params, "path"), ...parametersOf(route.query, "query")],
    ...(body ? { requestBody: { required: true, ...body } } : {}),
    responses: { [status]: answer, ...problems(route) },
  };
}

const PROBLEM = {
  type: "object",
  required: ["type", "title", "status", "code", "detail", "traceId"],
  properties: {
    type: { type: "string" },
    title: { type: "string" },
    status: { type: "integer" },
    code: { type: "string", enum: ERROR_CODES },
    detail: { type: "string" },
    traceId: { type: "string" },
    retryAfterMs: { type: "integer" },
    path: { type: "string" },
    number: { type: "integer" },
  },
};

/** Paths in the order of the table. Throws when two routes would get one name. */
export function openApi(routes: readonly Route[], basePath: string, version: string): OpenApi {
  const paths: Record<string, Record<string, Operation>> = {};
  const names = new Set<string>();
  for (const route of routes) {
    const made = operation(route);
    if (names.has(made.operationId)) throw new Error(`two routes are called ${made.operationId}`);
    names.add(made.operationId);
    const path = route.path.replace(/:(\w+)/g, "{$1}");
    paths[path] = { ...paths[path], [route.method.toLowerCase()]: made };
  }
  return {
    openapi: "3.1.0",
    info: { title: "offline-ai-sync", version, license: { name: "Apache-2.0", identifier: "Apache-2.0" } },
    servers: [{ url: basePath }],
    paths,
    components: {
      securitySchemes: { bearer: { type: "http", scheme: "bearer", description: "API key, device token or JWT" } },
      schemas: { Problem: PROBLEM },
    },
  };
}

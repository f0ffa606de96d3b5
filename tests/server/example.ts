/** Values that fit a JSON Schema, and values that do not: bodies for routes nobody wrote a test for yet. */

export interface Schema {
  readonly type?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly items?: Schema;
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly anyOf?: readonly Schema[];
  readonly oneOf?: readonly Schema[];
  readonly pattern?: string;
  readonly minimum?: number;
  readonly minLength?: number;
  readonly default?: unknown;
  readonly additionalProperties?: unknown;
}

/** Text for the patterns this API uses; a new pattern shows as a route that answers 400 to its own example. */
function textFor(pattern: string | undefined): string {
  if (!pattern) return "x";
  const regexp = new RegExp(pattern, "u");
  const found = [
    "x",
    "1",
    "0.0",
    "a".repeat(16),
    "a".repeat(12),
    "a".repeat(32),
    "a".repeat(64),
    "A".repeat(86),
    "1.0.0",
  ].find((text) => regexp.test(text));
  if (found === undefined) throw new Error(`no example text for ${pattern}`);
  return found;
}

/** The smallest value that fits; `known` wins for properties of its names, required or not. */
export function exampleOf(schema: Schema, known: Readonly<Record<string, unknown>> = {}): unknown {
  if (schema.const !== undefined) return schema.const;
  if (schema.enum) return schema.enum[0];
  const choice = schema.anyOf?.[0] ?? schema.oneOf?.[0];
  if (choice) return exampleOf(choice, known);
  switch (schema.type) {
    case "object": {
      const result: Record<string, unknown> = {};
      for (const [name, property] of Object.entries(schema.properties ?? {})) {
        if (name in known) result[name] = known[name];
        else if (schema.required?.includes(name) && property.default === undefined)
          result[name] = exampleOf(property, known);
      }
      return result;
    }
    case "array":
      return schema.items ? [exampleOf(schema.items, known)] : [];
    case "integer":
    case "number":
      return Math.max(1, schema.minimum ?? 1);
    case "boolean":
      return true;
    case "null":
      return null;
    case "string":
      return textFor(schema.pattern);
    default:
      return { x: 1 };
  }
}

/** Every place of the value that holds a leaf or an object, as paths. */
export function placesOf(value: unknown, path: readonly string[] = []): readonly (readonly string[])[] {
  if (typeof value !== "object" || value === null) return [path];
  return [path, ...Object.entries(value).flatMap(([name, inner]) => placesOf(inner, [...path, name]))];
}

/** A copy with another value in one place. */
export function withValue(value: unknown, path: readonly string[], put: unknown): unknown {
  const [first, ...rest] = path;
  if (first === undefined) return put;
  const copy = Array.isArray(value) ? [...(value as unknown[])] : { ...(value as Record<string, unknown>) };
  (copy as Record<string, unknown>)[first] = withValue((value as Record<string, unknown>)[first], rest, put);
  return copy;
}

/** Finds the route of a method and a path. Literal segments win over parameters, whatever the order of the table. */

import type { Route } from "./route.ts";

export interface Found {
  readonly route: Route;
  readonly params: Readonly<Record<string, string>>;
}

/** `undefined` = no such path; a list of methods = the path exists, the method does not. */
export type Match = Found | readonly string[] | undefined;

const segments = (path: string): string[] => path.split("/").filter(Boolean);

export class RouteTable {
  readonly routes: readonly Route[];
  readonly #patterns: readonly { readonly route: Route; readonly segments: readonly string[] }[];

  constructor(routes: readonly Route[]) {
    this.routes = routes;
    const literal = (path: string): string =>
      segments(path)
        .map((part) => (part.startsWith(":") ? "1" : "0"))
        .join("");
    this.#patterns = routes
      .map((route) => ({ route, segments: segments(route.path) }))
      .sort((a, b) => literal(a.route.path).localeCompare(literal(b.route.path)));
  }

  match(method: string, path: string): Match {
    const parts = segments(path);
    const methods: string[] = [];
    for (const { route, segments: pattern } of this.#patterns) {
      const params = fit(pattern, parts);
      if (!params) continue;
      if (route.method === method || (method === "HEAD" && route.method === "GET")) return { route, params };
      methods.push(route.method);
    }
    return methods.length > 0 ? methods : undefined;
  }
}

function fit(pattern: readonly string[], parts: readonly string[]): Record<string, string> | undefined {
  if (pattern.length !== parts.length) return undefined;
  const params: Record<string, string> = {};
  for (const [i, expected] of pattern.entries()) {
    const part = parts[i] ?? "";
    if (!expected.startsWith(":")) {
      if (expected !== part) return undefined;
      continue;
    }
    try {
      params[expected.slice(1)] = decodeURIComponent(part);
    } catch {
      return undefined; // a broken escape names nothing
    }
  }
  return params;
}

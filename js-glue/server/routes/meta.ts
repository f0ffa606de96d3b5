/** The API about itself: its OpenAPI document, and a page that shows it without any script. */

import { type OpenApi, openApi } from "../http/openapi.ts";
import { type Result, type Route, route } from "../http/route.ts";

declare const __OAS_VERSION__: string;

const BASE = "/api/offline-ai";
const PAGE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";

const escaped = (text: string): string =>
  text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");

function pageOf(document: OpenApi): string {
  const sections = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => {
      const body = operation.requestBody?.content ?? {};
      const parts = [
        ...operation.parameters.map(({ name, in: place, schema }) => `${place} ${name}: ${JSON.stringify(schema)}`),
        ...Object.entries(body).map(([media, { schema }]) => `body ${media}: ${JSON.stringify(schema)}`),
        ...Object.entries(operation.responses).map(([status, { description }]) => `${status}: ${String(description)}`),
      ];
      const scope = operation.security.length > 0 ? JSON.stringify(operation.security[0]?.["bearer"]) : "open";
      return `<details><summary><b>${method.toUpperCase()}</b> <code>${escaped(path)}</code> ${escaped(
        operation.summary,
      )} <small>${escaped(scope)}</small></summary><pre>${escaped(parts.join("\n"))}</pre></details>`;
    }),
  );
  const style =
    "body{font:15px/1.5 system-ui;max-width:60rem;margin:2rem auto;padding:0 1rem}pre{white-space:pre-wrap;background:#8881;padding:.5rem}";
  return `<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>offline-ai-sync API</title><style>${style}</style><h1>offline-ai-sync API</h1>
<p>${sections.length} operations below <code>${BASE}</code>; machine-readable: <a href="openapi.json">openapi.json</a></p>
${sections.join("\n")}</html>`;
}

export function metaRoutes(routes: () => readonly Route[]): readonly Route[] {
  let made: { readonly document: Result; readonly page: Result } | undefined;
  const make = () => {
    if (made) return made;
    const document = openApi(routes(), BASE, __OAS_VERSION__);
    const cache = { "cache-control": "public, max-age=300" };
    made = {
      document: {
        status: 200,
        headers: { "content-type": "application/json", ...cache },
        body: Buffer.from(JSON.stringify(document)),
      },
      page: {
        status: 200,
        headers: { "content-type": "text/html; charset=utf-8", "content-security-policy": PAGE_POLICY, ...cache },
        body: Buffer.from(pageOf(document)),
      },
    };
    return made;
  };
  return [
    route("GET", "/openapi.json", { doc: { summary: "This document" } }, () => make().document),
    route("GET", "/docs", { doc: { summary: "This document as a page", answer: "text/html" } }, () => make().page),
  ];
}

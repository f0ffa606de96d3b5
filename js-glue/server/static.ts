/** Serves the demo's files under the strict policy it is meant to run under. Only for `serve --static`. */

import { readFile, stat } from "node:fs/promises";
import type { IncomingMessage, ServerResponse } from "node:http";
import { extname, join, normalize, sep } from "node:path";
import { encodingFor, packedFile } from "./static-packed.ts";

const POLICY = [
  "default-src 'none'",
  "script-src 'self' 'wasm-unsafe-eval'",
  "connect-src 'self'",
  "worker-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "frame-src 'self'",
  "manifest-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
].join("; ");

const TYPES: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".mjs": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".json": "application/json",
  ".map": "application/json",
  ".webmanifest": "application/manifest+json",
  ".wasm": "application/wasm",
  ".svg": "image/svg+xml",
  ".png": "image/png",
  ".ico": "image/x-icon",
};

export interface StaticFiles {
  readonly folder: string;
  /** Set as the cookie of the page's own requests: HttpOnly, same site only. */
  readonly key: string;
}

/** Answers GET and HEAD; false when there is no such file. Rejects on errors of the disk. */
export async function serveFile(
  files: StaticFiles,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<boolean> {
  if (request.method !== "GET" && request.method !== "HEAD") return false;
  const path = pathOf(files.folder, request.url ?? "/");
  if (!path) return false;
  const found = await stat(path).catch(() => undefined); // not there, or not for us: both are "no such file"
  if (!found?.isFile()) return false;
  const version = `${found.size.toString(16)}-${Math.round(found.mtimeMs).toString(16)}`;
  const type = TYPES[extname(path)] ?? "application/octet-stream";
  const encoding = encodingFor(request.headers["accept-encoding"], type, found.size);
  const etag = encoding ? `"${version}-${encoding}"` : `"${version}"`;
  const headers = {
    "content-type": type,
    "content-security-policy": POLICY,
    "service-worker-allowed": "/",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-cache",
    etag,
    vary: "accept-encoding",
    ...(encoding ? { "content-encoding": encoding } : {}),
    ...(type.startsWith("text/html")
      ? { "set-cookie": `oas_key=${files.key}; Path=/; Max-Age=31536000; HttpOnly; SameSite=Strict` }
      : {}),
  };
  if (request.headers["if-none-match"] === etag) {
    response.writeHead(304, headers).end();
    return true;
  }
  const read = (): Promise<Buffer> => readFile(path);
  const bytes = await (encoding ? packedFile(`${version} ${path}`, read, encoding) : read());
  response.writeHead(200, { ...headers, "content-length": bytes.length });
  response.end(request.method === "HEAD" ? undefined : bytes);
  return true;
}

function pathOf(folder: string, url: string): string | undefined {
  let path: string;
  try {
    path = decodeURIComponent(url.split("?")[0] ?? "/");
  } catch {
    return undefined; // a broken escape names no file
  }
  if (path.includes("\0")) return undefined;
  const root = normalize(folder).replace(/[/\\]$/, "");
  const full = normalize(join(root, path.endsWith("/") ? `${path}index.html` : path));
  return full.startsWith(root + sep) ? full : undefined;
}

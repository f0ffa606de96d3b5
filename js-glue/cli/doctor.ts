/** `offline-ai-sync doctor`: what a deployed page lacks, and what to change. It only reads, and sends no credential. */

import { parseArgs } from "node:util";

const USAGE = `usage: offline-ai-sync doctor <url of a page> [options]

  --api <path>     where the sync server is mounted (default /api/offline-ai)
  --wasm <path>    where core.wasm lies (default: beside the page)
  --worker <path>  the Service Worker's script (default /sw.classic.js)
  --json           one JSON line {"ok","checks":[{"name","ok","found","advice"}]}

Exits 1 when something has to change.`;

export interface Check {
  readonly name: string;
  readonly ok: boolean;
  readonly found: string;
  /** What to change; empty when nothing. */
  readonly advice: string;
}

const TIMEOUT_MS = 10_000;

interface Found {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Uint8Array;
}

async function get(url: URL): Promise<Found | string> {
  try {
    const response = await fetch(url, { redirect: "follow", signal: AbortSignal.timeout(TIMEOUT_MS) });
    return { status: response.status, headers: response.headers, body: new Uint8Array(await response.arrayBuffer()) };
  } catch (error) {
    const { message, cause } = error as Error;
    return cause instanceof Error ? `${message}: ${cause.message}` : message;
  }
}

const check = (name: string, ok: boolean, found: string, advice: string): Check => ({
  name,
  ok,
  found,
  advice: ok ? "" : advice,
});

/** The sources of the first of these directives that is there, else of `default-src`; undefined = anything goes. */
function sourcesOf(policy: string, ...directives: readonly string[]): readonly string[] | undefined {
  const lists = new Map(
    policy
      .split(";")
      .map((part) => part.trim().split(/\s+/))
      .map(([name = "", ...sources]) => [name.toLowerCase(), sources] as const),
  );
  return [...directives, "default-src"].map((name) => lists.get(name)).find((list) => list !== undefined);
}

function checkPolicy({ headers }: Found): readonly Check[] {
  const policy = headers.get("content-security-policy");
  if (policy === null) return [check("policy", true, "no Content-Security-Policy header", "")];
  const scripts = sourcesOf(policy, "script-src");
  const wasm = !scripts || scripts.some((one) => one === "'wasm-unsafe-eval'" || one === "'unsafe-eval'");
  const connect = sourcesOf(policy, "connect-src");
  const worker = sourcesOf(policy, "worker-src", "child-src", "script-src");
  const open = (list: readonly string[] | undefined): boolean =>
    !list || !(list.length === 0 || list.includes("'none'"));
  return [
    check(
      "policy: WebAssembly",
      wasm,
      `script-src ${scripts?.join(" ") ?? "(any)"}`,
      "add 'wasm-unsafe-eval' to script-src: without it no browser compiles core.wasm",
    ),
    check(
      "policy: requests",
      open(connect),
      `connect-src ${connect?.join(" ") ?? "(any)"}`,
      "add 'self' (or the API's origin) to connect-src",
    ),
    check("policy: worker", open(worker), `worker-src ${worker?.join(" ") ?? "(any)"}`, "add 'self' to worker-src"),
  ];
}

async function checkWasm(url: URL): Promise<readonly Check[]> {
  const found = await get(url);
  const advice = `put core.wasm there (offline-ai-sync copy), or name another place by wasmUrl`;
  if (typeof found === "string") return [check("core.wasm", false, `${url}: ${found}`, advice)];
  const { status, headers, body } = found;
  const magic = body[0] === 0 && body[1] === 0x61 && body[2] === 0x73 && body[3] === 0x6d;
  const type = headers.get("content-type") ?? "";
  return [
    check("core.wasm", status === 200 && magic, `${url}: ${status}, ${body.length} bytes`, advice),
    check(
      "core.wasm: type",
      type.startsWith("application/wasm"),
      type || "none",
      "serve .wasm as application/wasm: it starts faster; with another type it still works",
    ),
  ];
}

async function checkWorker(url: URL, page: URL): Promise<readonly Check[]> {
  const found = await get(url);
  const advice = "put sw.classic.js there (offline-ai-sync copy), or name another place by --worker";
  if (typeof found === "string") return [check("worker", false, `${url}: ${found}`, advice)];
  const { status, headers } = found;
  const type = headers.get("content-type") ?? "";
  const scope = headers.get("service-worker-allowed") ?? new URL("./", url).pathname;
  const age = /max-age=(\d+)/.exec(headers.get("cache-control") ?? "")?.[1];
  return [
    check("worker", status === 200 && /javascript/.test(type), `${url}: ${status}, ${type || "no type"}`, advice),
    check(
      "worker: scope",
      url.origin === page.origin && page.pathname.startsWith(scope),
      `covers ${scope}`,
      `serve the script from ${new URL("./", page).pathname} or above, from the page's own origin, or send Service-Worker-Allowed: /`,
    ),
    check(
      "worker: freshness",
      age === undefined || Number(age) <= 86_400,
      headers.get("cache-control") ?? "no Cache-Control",
      "send Cache-Control: no-cache for the worker's script, so that browsers notice a new release",
    ),
  ];
}

async function checkServer(url: URL): Promise<Check> {
  const found = await get(url);
  const advice = "mount the sync server there (app.use(path, sync.router)), or name another place by --api";
  if (typeof found === "string") return check("server", false, `${url}: ${found}`, advice);
  let answer: { readonly status?: unknown; readonly version?: unknown; readonly protocol?: unknown } | undefined;
  try {
    answer = JSON.parse(new TextDecoder().decode(found.body)) as typeof answer;
  } catch {
    answer = undefined;
  }
  const ours = found.status === 200 && answer?.status === "ok";
  return check("server", ours, `${url}: ${found.status} ${JSON.stringify(answer ?? "no JSON")}`, advice);
}

export async function examine(
  page: URL,
  places: { readonly api: string; readonly wasm: string; readonly worker: string },
): Promise<readonly Check[]> {
  const found = await get(page);
  if (typeof found === "string") return [check("page", false, `${page}: ${found}`, "the page has to answer first")];
  const local = ["localhost", "127.0.0.1", "[::1]"].includes(page.hostname);
  return [
    check("page", found.status === 200, `${page}: ${found.status}`, "the page has to answer with 200"),
    check(
      "secure context",
      page.protocol === "https:" || local,
      page.origin,
      "serve the page by https: Service Workers, Web Locks and WebCrypto need it everywhere but on localhost",
    ),
    ...checkPolicy(found),
    ...(await checkWasm(new URL(places.wasm, page))),
    ...(await checkWorker(new URL(places.worker, page), page)),
    await checkServer(new URL(`${places.api.replace(/\/+$/, "")}/health`, page)),
  ];
}

/** The exit code: 1 when something has to change. */
export async function doctor(args: readonly string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      api: { type: "string", default: "/api/offline-ai" },
      wasm: { type: "string", default: "core.wasm" },
      worker: { type: "string", default: "/sw.classic.js" },
      json: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  const [address] = positionals;
  if (values.help || address === undefined || !URL.canParse(address)) {
    process.stdout.write(`${USAGE}\n`);
    return values.help ? 0 : 2;
  }
  const checks = await examine(new URL(address), values);
  const ok = checks.every((one) => one.ok);
  if (values.json) process.stdout.write(`${JSON.stringify({ ok, checks })}\n`);
  else
    for (const { name, ok: good, found, advice } of checks)
      process.stdout.write(
        `${good ? "ok  " : "FIX "} ${name}: ${found}${advice === "" ? "" : `\n     -> ${advice}`}\n`,
      );
  return ok ? 0 : 1;
}

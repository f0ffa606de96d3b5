/** The packaged server as a child process, and a lean HTTP client for load: keep-alive connections, no fetch. */

import { type ChildProcess, spawn } from "node:child_process";
import { Agent, request as httpRequest } from "node:http";
import { join } from "node:path";
import { createInterface } from "node:readline";

export interface Served {
  readonly url: string;
  readonly key: string;
  readonly pid: number;
  readonly child: ChildProcess;
  stop(signal?: NodeJS.Signals): Promise<void>;
}

const root = process.env["OAS_ROOT"] ?? process.cwd();
/** A program that fails must not leave its servers behind: they would hold its output open. */
const alive = new Set<ChildProcess>();
process.once("exit", () => {
  for (const child of alive) child.kill("SIGKILL");
});

export async function serve(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Served> {
  const child = spawn(process.execPath, [join(root, "dist/cli.js"), "serve", "--json", ...args], {
    stdio: ["ignore", "pipe", "inherit"],
    env: { ...process.env, OFFLINE_AI_RATE_EVENTS_PER_MINUTE: "0", ...env },
  });
  alive.add(child);
  child.once("exit", () => alive.delete(child));
  const line = await new Promise<string>((resolve, reject) => {
    createInterface({ input: child.stdout! }).once("line", resolve);
    child.once("exit", (code) => reject(new Error(`the server ended with ${code}`)));
  });
  const { url, key } = JSON.parse(line) as { url: string; key: string };
  return {
    url,
    key,
    pid: child.pid!,
    child,
    async stop(signal = "SIGTERM") {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const gone = new Promise((resolve) => child.once("exit", resolve));
      child.kill(signal);
      await gone;
    },
  };
}

export interface Answer {
  readonly status: number;
  readonly body: Buffer;
  readonly retryAfterMs: number;
}

const agent = new Agent({ keepAlive: true, maxSockets: Number.POSITIVE_INFINITY });

/** Rejects when the connection fails. */
export const post = (url: string, key: string, path: string, body: Uint8Array, type: string): Promise<Answer> =>
  ask(`${url}/api/offline-ai${path}`, key, "POST", body, { "content-type": type });

/** As `post`, with any method and the whole address. */
export function ask(
  url: string,
  key: string,
  method: string,
  body: Uint8Array | undefined,
  headers: Readonly<Record<string, string>>,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const length = body ? { "content-length": body.length } : {};
    const all = { authorization: `Bearer ${key}`, ...headers, ...length };
    const request = httpRequest(url, { method, agent, headers: all }, (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("error", reject);
      response.on("end", () =>
        resolve({
          status: response.statusCode ?? 0,
          body: Buffer.concat(chunks),
          retryAfterMs: Number(response.headers["retry-after"] ?? 0) * 1_000,
        }),
      );
    });
    request.on("error", reject);
    request.end(body);
  });
}

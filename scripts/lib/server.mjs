// The sync server as a child process, as an operator would run it: started, stopped, killed.

import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { at } from "./run.mjs";

export class Server {
  #child;
  #arguments;
  url;
  key;
  /** The log, line by line, as objects. */
  log = [];

  #env;

  /** `env` is added to the environment: settings of the server. */
  constructor(args, env = {}) {
    this.#arguments = args;
    this.#env = env;
  }

  get pid() {
    return this.#child.pid;
  }

  get running() {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** Starts on the port given once, so that a restarted server is where it was. */
  async start(port = 0) {
    const args = [at("dist/cli.js"), "serve", "--json", "--port", String(port), ...this.#arguments];
    this.#child = spawn(process.execPath, args, {
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, ...this.#env },
    });
    createInterface({ input: this.#child.stderr }).on("line", (line) => {
      try {
        this.log.push(JSON.parse(line));
      } catch {
        this.log.push({ msg: line });
      }
    });
    const line = await new Promise((resolve, reject) => {
      createInterface({ input: this.#child.stdout }).once("line", resolve);
      this.#child.once("exit", (code) => reject(new Error(`the server ended with ${code}: ${this.log.at(-1)?.msg}`)));
    });
    const { url, key } = JSON.parse(line);
    this.url ??= url;
    this.key = key;
    return this;
  }

  get port() {
    return new URL(this.url).port;
  }

  async stop(signal = "SIGTERM") {
    const child = this.#child;
    if (!child || child.exitCode !== null) return;
    const ended = new Promise((resolve) => child.once("exit", resolve));
    child.kill(signal);
    await ended;
  }

  /** All events of a device, oldest first, through the public API. */
  async history(device) {
    const items = [];
    for (let cursor = ""; ; ) {
      const query = new URLSearchParams({ limit: "500", ...(cursor ? { cursor } : {}) });
      const response = await fetch(`${this.url}/api/offline-ai/events/${device}/history?${query}`, {
        headers: { authorization: `Bearer ${this.key}` },
      });
      if (!response.ok) throw new Error(`history answered ${response.status}: ${await response.text()}`);
      const page = await response.json();
      items.push(...page.items);
      if (!page.nextCursor || page.items.length === 0) return items;
      cursor = page.nextCursor;
    }
  }
}

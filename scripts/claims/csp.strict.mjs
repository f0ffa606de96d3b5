import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Profile } from "../lib/browser.mjs";
import { at } from "../lib/run.mjs";
import { Server } from "../lib/server.mjs";

const worker_and_engine = {
  "default-src": ["'none'"],
  "script-src": ["'self'", "'wasm-unsafe-eval'"],
  "connect-src": ["'self'"],
  "worker-src": ["'self'"],
};
const page_only = ["style-src", "img-src", "frame-src", "manifest-src"];

/** Directives the policy may not have, or has too generously. */
function excess(policy) {
  return policy
    .split(";")
    .map((part) => part.trim().split(/\s+/))
    .filter(([name]) => name)
    .filter(([name, ...sources]) => {
      if (page_only.includes(name)) return sources.join(" ") !== "'self'";
      if (name in worker_and_engine) return sources.join(" ") !== worker_and_engine[name].join(" ");
      return sources.join(" ") !== "'none'" && sources.join(" ") !== "'self'";
    })
    .map((part) => part.join(" "));
}

export const claim = {
  name: "csp.strict",
  title: "Page, frames and Service Worker run under the strictest policy that allows WebAssembly at all",
  bar: "real Chromium: the demo queues, its Service Worker drains, both under default-src 'none' and 'self' with 'wasm-unsafe-eval'; 0 violations",
  needs: ["build", "browser"],
  async run({ log }) {
    const folder = mkdtempSync(join(tmpdir(), "oas-csp-"));
    const server = new Server(["--demo", at("dist/demo"), "--db", `sqlite:${join(folder, "demo.sqlite")}`]);
    const profile = new Profile();
    try {
      await server.start();
      const violations = [];
      const context = await profile.start();
      await context.addInitScript(() => {
        addEventListener("securitypolicyviolation", (event) => {
          console.error(`violated ${event.effectiveDirective} ${event.blockedURI}`);
        });
      });
      context.on("console", (message) => {
        if (/violate|Content Security Policy/i.test(message.text())) violations.push(message.text());
      });
      const page = await context.newPage();
      const response = await page.goto(`${server.url}/device.html?device=phone`);
      const policy = (await response.headerValue("content-security-policy")) ?? "";
      const worker = await fetch(`${server.url}/sw.js`).catch(() => undefined);
      const worker_policy = worker?.headers.get("content-security-policy") ?? policy;
      log(policy);
      await page.waitForFunction(() => globalThis.engine?.status.get().phase !== "starting");
      const applied = await page.evaluate(async () => {
        const event = await globalThis.engine.queueEvent({
          eventType: "page_view",
          moduleId: "csp",
          eventData: { n: 1 },
          priority: "high",
        });
        await event.synced;
        const registration = await navigator.serviceWorker.ready;
        const channel = new MessageChannel();
        const answer = new Promise((resolve) => {
          channel.port1.onmessage = ({ data }) => resolve(data);
        });
        const name = new URL(registration.active.scriptURL).searchParams.get("name");
        registration.active.postMessage({ type: "oas-drain", name }, [channel.port2]);
        return { id: event.id, worker: await answer };
      });
      const too_generous = [...excess(policy), ...excess(worker_policy)];
      for (const text of violations) log(text);
      return {
        ok: violations.length === 0 && too_generous.length === 0 && applied.worker.drained === true && policy !== "",
        scope: "the demo's device page and its Service Worker, as served by the standalone server",
        figures: { violations: violations.length, too_generous, worker_drained: applied.worker.drained ?? false },
      };
    } finally {
      await profile.remove();
      await server.stop();
      rmSync(folder, { recursive: true, force: true });
    }
  },
};

import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { extname, join, normalize } from "node:path";
import { pathToFileURL } from "node:url";
import { Profile } from "../lib/browser.mjs";
import { at } from "../lib/run.mjs";
import { staticClosure } from "../size.mjs";

const types = { ".js": "text/javascript", ".mjs": "text/javascript", ".wasm": "application/wasm" };
const questions = {
  intent: ["what is my bank balance", "please set a timer for ten minutes", "zxqv blorp wug"],
  content: ["21 Things You Won't Believe Happened At This Wedding!!", "Central bank raises interest rates"],
};
const page = `<!doctype html><title>models</title><script type="module">
  import { predictInWorker } from "/models.js";
  globalThis.ask = (model, inputs) => predictInWorker("shop", model, inputs, { top: 3 }).then(
    ({ answers }) => ({ answers }),
    ({ code }) => ({ code }),
  );
  globalThis.fetched = () => performance.getEntriesByType("resource").map(({ name }) => new URL(name).pathname);
</script>`;

/** A plain static server with nothing of an API: what the worker answers, it answers by itself. */
async function serve(port) {
  const server = createServer((request, response) => {
    const path = normalize(new URL(request.url, "http://localhost").pathname);
    try {
      const body = path === "/" ? page : readFileSync(join(at("dist"), path));
      const type = path === "/" ? "text/html" : (types[extname(path)] ?? "application/octet-stream");
      response.writeHead(200, { "content-type": type, "cache-control": "no-store" }).end(body);
    } catch {
      response.writeHead(404).end(); // no such file
    }
  });
  await new Promise((resolve) => server.listen(port, "127.0.0.1", resolve));
  const stop = () =>
    new Promise((resolve) => {
      server.close(resolve);
      server.closeAllConnections();
    });
  return { port: server.address().port, stop };
}

async function openPage(context, url) {
  const opened = await context.newPage();
  await opened.goto(url);
  await opened.waitForFunction(() => "ask" in globalThis);
  return opened;
}

/** What the same kernels say in Node. */
async function expected() {
  const { CoreKernels } = await import(pathToFileURL(at("dist/models.js")).href);
  const kernels = await CoreKernels.open({ binary: new Uint8Array(readFileSync(at("dist/infer.wasm"))) });
  return Object.fromEntries(
    Object.entries(questions).map(([name, inputs]) => {
      const model = kernels.loadModel(new Uint8Array(readFileSync(at("models", name, "model.oasm"))));
      return [name, kernels.predict(model, inputs, { top: 3 }).answers];
    }),
  );
}

export const claim = {
  name: "models.worker",
  title: "The Service Worker answers predict after the browser was killed and the server is gone",
  bar: "real Chromium: every answer of the restarted worker equals the kernels' in Node, with no server listening and no kernels in the page; a model the worker was not told of is refused by name",
  quickSeconds: 60,
  needs: ["build", "browser"],
  test: true,
  async run({ log }) {
    const profile = new Profile();
    let server = await serve(0);
    const url = `http://127.0.0.1:${server.port}/`;
    try {
      log("first visit: the page registers the worker, which keeps kernels and two models");
      const first = await openPage(await profile.start(), url);
      const query = new URLSearchParams({ name: "shop", url: "/api/offline-ai" });
      for (const model of Object.keys(questions)) query.append("model", model);
      for (const file of ["", ...staticClosure("models.js")]) query.append("precache", `/${file}`);
      await first.evaluate(async (script) => {
        await navigator.serviceWorker.register(script);
        await navigator.serviceWorker.ready;
      }, `/sw.models.classic.js?${query}`);
      await profile.kill();
      await server.stop();
      server = undefined;

      log("browser killed, server stopped; the browser starts again");
      const again = await openPage(await profile.start(), url);
      const wanted = await expected();
      const figures = { asked: 0, equal: 0, first_ms: 0, second_ms: 0 };
      for (const [model, inputs] of Object.entries(questions)) {
        const begun = performance.now();
        const { answers, code } = await again.evaluate((args) => globalThis.ask(...args), [model, inputs]);
        if (figures.first_ms === 0) figures.first_ms = Math.round(performance.now() - begun);
        else figures.second_ms = Math.round(performance.now() - begun);
        if (code) log(`${model}: ${code}`);
        figures.asked += inputs.length;
        figures.equal += wanted[model].filter((one, i) => JSON.stringify(one) === JSON.stringify(answers?.[i])).length;
      }
      const { code } = await again.evaluate(() => globalThis.ask("emotion", ["I love it"]));
      figures.unknown_model_refused = code;
      figures.kernels_in_page = (await again.evaluate(() => globalThis.fetched())).some((path) =>
        path.endsWith(".wasm"),
      );
      log(`${figures.equal} of ${figures.asked} equal; first answer ${figures.first_ms} ms, kernels started`);
      return {
        ok: figures.equal === figures.asked && code === "not_found" && !figures.kernels_in_page,
        scope: "prebuilt classic worker, fresh profile, loopback",
        figures,
      };
    } finally {
      await server?.stop();
      await profile.remove();
    }
  },
};

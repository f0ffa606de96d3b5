import { Profile } from "../lib/browser.mjs";
import { Lab } from "../lib/lab-page.mjs";

const rebuilt_ms_max = 100;
const trap = 255; // Command::Op::kTrap

/** In the page: events are queued without pause while the instance is killed under them, again and again. */
async function storm({ traps, seed, trap }) {
  let state = seed;
  const random = (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
  const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
  let loop;
  globalThis[Symbol.for("offline-ai-sync.testing")] = (given) => {
    loop = given;
  };
  const engine = globalThis.open_engine({ name: "traps", url: "/api/offline-ai" });
  const { deviceId } = await engine.registerDevice();
  const acked = [];
  const refused = [];
  const rebuilt = [];
  const open = new Set();
  const priorities = ["critical", "high", "normal", "low"];
  let n = 0;
  const queueSome = () => {
    for (let i = random(6); i >= 0; i--) {
      const call = engine
        .queueEvent({
          eventType: "trap",
          moduleId: "lab",
          eventData: { n: n++ },
          priority: priorities[random(4)],
          entity: random(2) ? `e/${random(3)}` : undefined,
        })
        .then(
          ({ id }) => acked.push(id),
          (error) => refused.push(error.code),
        );
      open.add(call);
      call.then(() => open.delete(call));
    }
  };
  for (let done = 0; done < traps; done++) {
    queueSome();
    // The trap falls before, inside or behind a turn, a transaction, a request, or a read.
    if (random(3) === 0) await Promise.resolve();
    if (random(3) === 0) await sleep(random(12));
    if (random(4) === 0) engine.drain().catch(() => undefined);
    if (random(4) === 0) engine.pending.list().catch(() => undefined);
    const before = loop.health.traps;
    loop.command(trap).catch(() => undefined);
    queueSome();
    while (loop.health.traps === before || !loop.health.running) await sleep(1);
    rebuilt.push(loop.health.rebuiltMs);
  }
  await Promise.all(open);
  for (let tries = 0; tries < 100 && !(await engine.drain()).drained; tries++) await sleep(200);
  return { deviceId, acked, refused, rebuilt, queued: n };
}

export const claim = {
  name: "wasm.traps",
  title: "A trap costs the instance, never an acknowledged event",
  bar: "real Chromium: 200 forced traps at random operations, each rebuilt in < 100 ms; 0 acknowledged lost, 0 twice",
  needs: ["build", "browser"],
  test: true,
  async run({ quick, log }) {
    const traps = quick ? 60 : 200;
    const lab = new Lab();
    const profile = new Profile();
    try {
      await lab.start();
      const page = await lab.open(await profile.start());
      log(`${traps} traps while events are queued, stored, read and sent`);
      const { deviceId, acked, refused, rebuilt, queued } = await page.evaluate(storm, { traps, seed: 7, trap });
      const history = await lab.server.history(deviceId);
      const ids = new Set(history.map(({ id }) => id));
      const numbers = new Set(history.map(({ eventData }) => eventData.n));
      rebuilt.sort((a, b) => a - b);
      const figures = {
        traps: rebuilt.length,
        queued,
        acknowledged: acked.length,
        refused: refused.length,
        lost: acked.filter((id) => !ids.has(id)).length,
        twice: history.length - numbers.size,
        rebuilt_ms_p50: Math.round((rebuilt[rebuilt.length >> 1] ?? 0) * 10) / 10,
        rebuilt_ms_max: Math.round((rebuilt.at(-1) ?? 0) * 10) / 10,
      };
      return {
        ok:
          figures.traps === traps &&
          figures.lost === 0 &&
          figures.twice === 0 &&
          figures.refused === 0 &&
          figures.rebuilt_ms_max < rebuilt_ms_max,
        scope:
          "one page, fresh profile, server on loopback; the rebuild is timed from the end of the transaction in hand to the first turn",
        figures,
      };
    } finally {
      await profile.remove();
      await lab.stop();
    }
  },
};

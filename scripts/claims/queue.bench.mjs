import { firstBatches, median, peers, QueueServer, race } from "../lib/queue-race.mjs";

const stored_min = 20;
const single_max = 1.5;
const drained_min = 5;
const first_max = 0.5;

const sizes = {
  quick: { rounds: 2, bursts: 3, calls: 2_000, drained: 10_000, singles: 300, queued: 100_000, starts: 3 },
  full: { rounds: 5, bursts: 5, calls: 2_000, drained: 20_000, singles: 500, queued: 100_000, starts: 7 },
};

const round = (number) => Math.round(number).toLocaleString("en");

/** Runs the whole race and prints a line for every contender. */
export async function measure(quick, log) {
  const size = quick ? sizes.quick : sizes.full;
  const server = await new QueueServer().start();
  try {
    const { names, stored, drained, ours, raw, packed } = await race(server, size, log);
    for (const [id, name] of Object.entries(names))
      log(
        `${name.padEnd(30)} ${round(median(stored[id])).padStart(9)} stored/s, best ${round(Math.max(...stored[id]))}; ${round(median(drained[id])).padStart(9)} drained/s`,
      );
    log(`${"one packed record, strict".padEnd(30)} ${round(median(packed)).padStart(9)} stored/s: the floor`);
    log(`one awaited event: ours p50 ${median(ours).toFixed(3)} ms, raw IndexedDB strict ${median(raw).toFixed(3)} ms`);
    const first = await firstBatches(server, size, log);
    const ms = (id, what = "ms") => median(first[id][what]);
    log(
      `first batch: ours ${ms("ours").toFixed(1)} ms, Dexie ${ms("dexie").toFixed(1)} ms, code loaded before in ${ms("ours", "loading").toFixed(1)} and ${ms("dexie", "loading").toFixed(1)}; ours with its loading ${ms("oursLoading").toFixed(1)} ms; opening IndexedDB and reading one record ${ms("floor").toFixed(1)} ms`,
    );
    const best = (rates, ids) => ids.map((id) => median(rates[id])).reduce((a, b) => Math.max(a, b));
    const ratio = (a, b) => +(a / b).toFixed(3);
    const figures = {
      stored_to_best_default: ratio(median(stored.ours), best(stored, peers.defaults)),
      stored_to_best_strict: ratio(median(stored.ours), best(stored, peers.strict)),
      stored_to_floor: ratio(median(stored.ours), median(packed)),
      stored_per_s: Math.round(median(stored.ours)),
      single_to_raw_p50: ratio(median(ours), median(raw)),
      single_ms_p50: +median(ours).toFixed(3),
      drained_to_best_default: ratio(median(drained.ours), best(drained, peers.defaults)),
      drained_to_best_strict: ratio(median(drained.ours), best(drained, peers.strict)),
      drained_per_s: Math.round(median(drained.ours)),
      first_batch_to_dexie: ratio(ms("ours"), ms("dexie")),
      first_batch_loading_to_dexie: ratio(ms("oursLoading"), ms("dexie")),
      first_batch_floor_to_dexie: ratio(ms("floor"), ms("dexie")),
      first_batch_ms: +ms("ours").toFixed(1),
      real_log: server.real,
    };
    return { figures, size };
  } finally {
    await server.stop();
  }
}

export const claim = {
  name: "queue.bench",
  title: "Our queue beside idb-keyval, Dexie, RxDB and Workbox in a real Chromium, in one run",
  bar: `2,000 un-awaited strict calls >= ${stored_min}x the best peer at its defaults; one awaited strict event p50 <= ${single_max}x raw IndexedDB strict (goal 1.15); drain >= ${drained_min}x the best; first batch of 100,000 queued <= ${first_max}x Dexie`,
  quickSeconds: 300,
  needs: ["build", "browser"],
  async run({ quick, log }) {
    const { figures, size } = await measure(quick, log);
    log(JSON.stringify(figures));
    return {
      ok:
        figures.stored_to_best_default >= stored_min &&
        figures.single_to_raw_p50 <= single_max &&
        figures.drained_to_best_default >= drained_min &&
        figures.first_batch_to_dexie <= first_max,
      scope: `${figures.real_log ? "the web log" : "generated events"}; ${size.rounds} rounds on fresh profiles on disk, in turn, ${size.bursts} bursts each, RxDB and Workbox with a quarter of the calls and of the queue; peers relaxed by default, ours strict; drained = in the server's database and deleted here, the peers' sink doing the same work for a row, in pages of 1,000; Workbox in a page, without sync.register; first batch: a profile each, browser started anew, its databases dropped from the page cache, a quiet second before, everybody's code loaded before (first_batch_loading = ours loaded within its time); its floor = IndexedDB opened and one record read, without any code of a queue`,
      figures,
    };
  },
};

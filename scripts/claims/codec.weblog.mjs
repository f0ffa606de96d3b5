import { batchesOf, brotliBytes, brotliSpeed, gzipBytes, zstdBytes } from "../lib/compressors.mjs";
import { skippedWithoutData } from "../lib/data.mjs";
import { oasTool } from "../lib/oas-tool.mjs";
import { weblogEvents } from "../lib/weblog.mjs";

const learned_events = 1_000;
/** As a page learns (src/sync/packer.h). */
const page_learns = ["--learn", 100, "--dictionary", 16_000, "--tail", 4_000];

const saved = (stored, json) => +(100 * (1 - stored / json)).toFixed(2);
const percent = (number) => `${number.toFixed(2).padStart(6)} %`;

export const claim = {
  name: "codec.weblog",
  title: "How much smaller a real web log becomes in segments, and how fast",
  bar:
    "saved >= 90 % at batches of 100 and >= 92.5 % at 1,000 with a dictionary of earlier events whose bytes count, " +
    ">= 86 % at 100 without one; every byte comes back; encode >= 30x brotli 11 and decode >= 200 MB/s in WebAssembly",
  quickSeconds: 120,
  async run({ quick, log }) {
    const { real, events } = weblogEvents(9_999);
    if (!real) return skippedWithoutData("weblog", log);
    const lines = events.map((event) => JSON.stringify(event));
    const input = lines.join("\n");
    const json = lines.reduce((total, line) => total + Buffer.byteLength(line), 0);
    const wasm = await oasTool({ wasm: true });
    const native = await oasTool();
    const rounds = quick ? 3 : 9;
    const figures = {};
    let exact = true;
    log(
      `${events.length} events, ${(json / events.length).toFixed(0)} bytes of JSON each; saved, whole segments counted`,
    );
    for (const batch of [10, 100, 1000]) {
      const batches = batchesOf(lines, batch);
      const alone = wasm(["codec", "--batch", batch, "--rounds", rounds], input);
      const learned = wasm(["codec", "--batch", batch, "--learn", learned_events, "--rounds", rounds], input);
      const again = native(["codec", "--batch", batch, "--learn", learned_events, "--rounds", 1], input);
      const page = native(["codec", "--batch", batch, ...page_learns, "--rounds", 1], input);
      exact &&=
        alone.exact && learned.exact && again.exact && again.segmentBytes === learned.segmentBytes && page.exact;
      const row = {
        self_contained: saved(alone.segmentBytes, json),
        dictionary: saved(learned.segmentBytes + learned.dictionaryBytes, json),
        as_a_page_learns: saved(page.segmentBytes + page.dictionaryBytes, json),
        lz4: saved(alone.lz4Bytes, json),
        lz4hc: saved(alone.lz4hcBytes, json),
        gzip9: saved(gzipBytes(batches), json),
      };
      if (!quick || batch === 100) {
        row.brotli11 = saved(brotliBytes(batches), json);
        // The same favour as ours: the first thousand events train it and are stored without it.
        const first = batchesOf(lines.slice(0, learned_events), batch);
        const rest = batchesOf(lines.slice(learned_events), batch);
        const zstd = zstdBytes(rest, lines.slice(0, learned_events), 48_000);
        if (zstd) row.zstd19_dictionary = saved(zstd.bytes + zstd.dictionary + gzipBytes(first), json);
      }
      for (const [name, value] of Object.entries(row)) {
        log(`  batch ${String(batch).padStart(4)}  ${name.padEnd(18)} ${percent(value)}`);
        figures[`${name}_${batch}`] = value;
      }
      figures.page_dictionary_bytes = page.dictionaryBytes;
      figures[`encode_mbs_${batch}`] = Math.round(alone.encodeMBs);
      figures[`decode_mbs_${batch}`] = Math.round(alone.decodeMBs);
    }
    log(`what a page has learned is ${figures.page_dictionary_bytes} bytes as it is sent`);
    const slow = brotliSpeed(batchesOf(lines.slice(0, quick ? 300 : 1_000), 100));
    figures.brotli11_mbs = +slow.toFixed(2);
    figures.times_brotli11_speed = Math.round(figures.encode_mbs_100 / slow);
    log(
      `encode ${figures.encode_mbs_100} MB/s at 100, ${figures.times_brotli11_speed}x brotli 11; decode ${figures.decode_mbs_100} MB/s at 100, ${figures.decode_mbs_1000} at 1,000`,
    );
    const ok =
      exact &&
      figures.dictionary_100 >= 90 &&
      figures.dictionary_1000 >= 92.5 &&
      figures.self_contained_100 >= 86 &&
      figures.times_brotli11_speed >= 30 &&
      Math.max(figures.decode_mbs_100, figures.decode_mbs_1000) >= 200;
    return {
      ok,
      scope:
        "elastic/examples apache_logs, all visitors interleaved; the dictionary is learned from the first 1,000 events, which are stored without it and counted; WebAssembly in Node, writer compiled for size as in a page, reader for speed as in the server; best of the rounds",
      figures,
    };
  },
};

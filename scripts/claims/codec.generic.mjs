import { batchesOf, brotliBytes, gzipBytes } from "../lib/compressors.mjs";
import { jsonCorpora } from "../lib/json-corpora.mjs";
import { oasTool } from "../lib/oas-tool.mjs";

const learned_events = 300;
const slack = 1.02;

// Bytes without structure, as one JSON string an event: what no codec can shrink.
function noise(count) {
  let state = 9;
  const next = () => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return state >>> 8;
  };
  return Array.from(
    { length: count },
    () =>
      `"${Array.from({ length: 900 }, () => "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"[next() % 64]).join("")}"`,
  );
}

export const claim = {
  name: "codec.generic",
  title: "Nested JSON of many shapes is never stored worse than by lz4 with a dictionary",
  bar: "at most 2 % above lz4 (level 9, dictionary of the last 48 kB of earlier text); incompressible events at most 32 bytes above their rows and head; exact",
  quickSeconds: 60,
  test: true,
  needs: ["native"],
  async run({ quick, log }) {
    const tool = await oasTool();
    const figures = {};
    let ok = true;
    for (const { name, lines } of jsonCorpora(quick ? 700 : 2_000)) {
      const json = lines.reduce((total, line) => total + Buffer.byteLength(line), 0);
      for (const batch of quick ? [10, 100] : [1, 10, 100, 1000]) {
        const args = ["codec", "--batch", batch, "--rounds", 1];
        const alone = tool(args, lines.join("\n"));
        const learned = tool([...args, "--learn", learned_events], lines.join("\n"));
        const batches = batchesOf(lines, batch);
        const ratio = learned.segmentBytes / learned.lz4hcBytes;
        ok &&= alone.exact && learned.exact && (batch < 10 || ratio <= slack);
        figures[`${name}_${batch}_to_lz4_dictionary`] = +ratio.toFixed(3);
        const saved = (bytes) => `${(100 * (1 - bytes / json)).toFixed(1)} %`;
        log(
          `${name.padEnd(13)} batch ${String(batch).padStart(4)}: ours ${saved(learned.segmentBytes)} with dictionary, ${saved(alone.segmentBytes)} without; ` +
            `lz4 9 ${saved(learned.lz4hcBytes)} with, ${saved(alone.lz4hcBytes)} without; gzip ${saved(gzipBytes(batches))}` +
            (quick ? "" : `, brotli 11 ${saved(brotliBytes(batches))}`),
        );
      }
    }
    const lines = noise(200);
    const json = lines.reduce((total, line) => total + line.length, 0);
    const stored = tool(["codec", "--batch", 10, "--rounds", 1], lines.join("\n"));
    const above = (stored.segmentBytes - json) / 20;
    // 8 bytes of clock, flags, type and length stand beside every event's JSON; the head takes up to 100.
    const allowed = 10 * 24 + 100 + 32;
    log(`noise: a segment of ten takes ${above.toFixed(0)} bytes more than its JSON, at most ${allowed}`);
    ok &&= stored.exact && above <= allowed;
    figures.noise_bytes_above = Math.round(above);
    return {
      ok,
      scope:
        "three generated corpora (events of a code forge, shop webhooks, short posts), seeded; batches of one are shown, not judged",
      figures,
    };
  },
};

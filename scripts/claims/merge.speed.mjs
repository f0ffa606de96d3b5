import { spawnSync } from "node:child_process";
import { pathToFileURL } from "node:url";
import { loadCases } from "../lib/merge-cases.mjs";
import { buildPreset, nativeProgram } from "../lib/native.mjs";

const typical_bytes = [700, 1_600];
const bars = { json: 4, bigMs: 50, automerge: 10, yjs: 3 };

const loader = `
const { default: create } = await import(process.argv[1]);
const tool = await create();
process.exitCode = tool.callMain(process.argv.slice(2));`;

const median = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];
const round = (value) => Math.round(value * 100) / 100;

function lines(command, args, input) {
  const { status, stdout, stderr } = spawnSync(command, args, { input, encoding: "utf8", maxBuffer: 2 ** 28 });
  if (status !== 0) throw new Error(`${command} ended with ${status}: ${stderr}`);
  return stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
}

/** Best of `batches`, in nanoseconds a call. */
function time(call, rounds, batches = 5) {
  let best = Number.POSITIVE_INFINITY;
  for (let batch = 0; batch < batches; batch += 1) {
    const start = process.hrtime.bigint();
    for (let round = 0; round < rounds; round += 1) call();
    best = Math.min(best, Number(process.hrtime.bigint() - start) / rounds);
  }
  return best;
}

/** A megabyte of 3,000 keyed elements; a hundred edits, a deletion and an insertion. */
function bigList() {
  const base = Array.from({ length: 3_000 }, (_, index) => ({
    id: `item-${index}`,
    name: `Name of item number ${index}`,
    quantity: index % 17,
    tags: ["alpha", "beta"],
    note: "x".repeat(220),
    price: { amount: index * 100, currency: "EUR" },
  }));
  const ours = structuredClone(base);
  const theirs = structuredClone(base);
  for (let index = 0; index < 50; index += 1) {
    ours[index * 7].quantity += 1;
    theirs[index * 11 + 3].name += "!";
  }
  ours.splice(100, 1);
  theirs.splice(2_000, 0, {
    id: "new",
    name: "new",
    quantity: 1,
    tags: [],
    note: "",
    price: { amount: 1, currency: "EUR" },
  });
  return { base, ours, theirs };
}

/** Form-like documents, for where the mined merges are not at hand. */
function madeCases() {
  return Array.from({ length: 40 }, (_, number) => {
    const base = Object.fromEntries(
      Array.from({ length: 30 }, (__, index) => [`field${index}`, `value ${index * number} of a form`]),
    );
    return { base, ours: { ...base, field3: "ours" }, theirs: { ...base, field7: "theirs", field31: number } };
  });
}

export const claim = {
  name: "merge.speed",
  title: "How long a merge takes, from three JSON texts to one, in WebAssembly",
  bar: "a typical 1 kB document <= 4 x (JSON.parse of the three + one JSON.stringify); a 1 MB keyed list of 3,000 elements <= 50 ms; >= 10 x Automerge and >= 3 x Yjs on the same merges",
  needs: ["build", "native"],
  quickSeconds: 120,
  async run({ quick, log }) {
    const mined = loadCases();
    const all = (mined ?? madeCases()).filter(({ base }) => {
      const size = JSON.stringify(base).length;
      return size >= typical_bytes[0] && size <= typical_bytes[1];
    });
    const cases = quick ? all.filter((_, index) => index % 4 === 0) : all;
    const input = cases.map(({ base, ours, theirs }) => JSON.stringify({ base, ours, theirs })).join("\n");
    const wasm = `${await buildPreset("wasm", ["merge_bench"])}/merge_bench.mjs`;
    const inNode = (text, rounds) =>
      lines(process.execPath, ["--input-type=module", "-e", loader, pathToFileURL(wasm).href, String(rounds)], text);
    const core = inNode(input, 200);
    const native = lines(await nativeProgram("merge_bench"), ["200"], input);
    const json = cases.map(({ base, ours, theirs }) => {
      const texts = [base, ours, theirs].map((side) => JSON.stringify(side));
      return time(() => {
        const sides = texts.map((text) => JSON.parse(text));
        return JSON.stringify(sides[2]).length;
      }, 300);
    });
    const big = inNode(JSON.stringify(bigList()), 3)[0].ns / 1e6;
    const { automerged, yMerged } = await import("../lib/merge-peers.mjs");
    const peer = (merge) => cases.map(({ base, ours, theirs }) => time(() => merge(base, ours, theirs), 3, 3));
    const automerge = peer(automerged);
    const yjs = peer(yMerged);
    const ratio = (others) => median(others.map((ns, index) => ns / core[index].ns));
    const figures = {
      cases: cases.length,
      coreMicroseconds: round(median(core.map(({ ns }) => ns)) / 1e3),
      nativeMicroseconds: round(median(native.map(({ ns }) => ns)) / 1e3),
      jsonMicroseconds: round(median(json) / 1e3),
      timesJson: round(median(core.map(({ ns }, index) => ns / json[index]))),
      bigListMs: round(big),
      fasterThanAutomerge: round(ratio(automerge)),
      fasterThanYjs: round(ratio(yjs)),
    };
    log(JSON.stringify(figures));
    return {
      ok:
        figures.timesJson <= bars.json &&
        figures.bigListMs <= bars.bigMs &&
        figures.fasterThanAutomerge >= bars.automerge &&
        figures.fasterThanYjs >= bars.yjs,
      scope: `${mined ? "mined merges" : "made-up forms"} of ${typical_bytes.join(" to ")} bytes; medians over cases of the best of 5 batches; ours includes parsing three texts and printing one, the peers start from parsed JSON`,
      figures,
    };
  },
};

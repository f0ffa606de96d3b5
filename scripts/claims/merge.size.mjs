import { execFileSync } from "node:child_process";
import { nativeProgram } from "../lib/native.mjs";

export const claim = {
  name: "merge.size",
  title: "What a change costs on the wire, and what a document costs beside its JSON",
  bar: "a one-field change in a batch of 100 <= 24 bytes, in one delta and in 100 deltas compressed together; after compaction, also with the cut 5 changes behind, metadata <= 1.0 x the JSON of a form",
  needs: ["native"],
  test: true,
  async run({ log }) {
    const program = await nativeProgram("merge_size");
    const figures = JSON.parse(execFileSync(program, { encoding: "utf8" }));
    log(JSON.stringify(figures));
    const { together, apartCompressed, threeWriters, fiveChangesBehind, tenThousandWriters } = figures;
    const metadata = Object.fromEntries(
      Object.entries({ threeWriters, fiveChangesBehind, tenThousandWriters }).map(([name, { state, value, json }]) => [
        name,
        (state - value) / json,
      ]),
    );
    log(`metadata over JSON: ${JSON.stringify(metadata)}`);
    return {
      ok: together <= 24 && apartCompressed <= 24 && Object.values(metadata).every((share) => share <= 1),
      scope:
        "20 batches of 100 changes of one random field of a 13-field form, new values included; 200 writers one after the other, then 10,000; metadata = state without the value itself",
      figures: { ...figures, metadata },
    };
  },
};

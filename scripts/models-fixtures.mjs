#!/usr/bin/env node
// Writes tests/golden/infer_rows.tsv: 180 test rows of the three text models, so that an accuracy smoke test runs anywhere.
//
// Every row is from a test split whose licence allows it (CC BY 3.0, CC BY 4.0, MIT), spread evenly over the split.
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { dataFolder } from "./lib/data.mjs";
import { at, helpFor } from "./lib/run.mjs";

helpFor(
  "usage: scripts/models-fixtures.mjs\n\nWrites tests/golden/infer_rows.tsv from the data folder; without data it writes nothing.",
);

const rows_each = 60;
const spread = (rows) =>
  Array.from({ length: rows_each }, (_, i) => rows[Math.floor(((i + 0.5) * rows.length) / rows_each)]);

function clinc(folder) {
  const { test } = JSON.parse(readFileSync(`${folder}/data_full.json`, "utf8"));
  return test.map(([text, label]) => ["intent", label, text]);
}

const groups = {
  anger: ["anger", "annoyance", "disapproval"],
  fear: ["fear", "nervousness"],
  joy: "joy amusement approval excitement gratitude love optimism relief pride admiration desire caring".split(" "),
  sadness: ["sadness", "disappointment", "embarrassment", "grief", "remorse"],
};

function emotions(folder) {
  const labels = readFileSync(`${folder}/labels.txt`, "utf8").trim().split(/\r?\n/);
  const group = (label) => Object.keys(groups).find((name) => groups[name].includes(label));
  return readFileSync(`${folder}/test.tsv`, "utf8")
    .split(/\r?\n/)
    .slice(1)
    .map((line) => line.split("\t"))
    .filter(([, ids]) => ids !== undefined)
    .map(([text, ids]) => ["emotion", ids.split(",").map((id) => group(labels[Number(id)])), text])
    .filter(([, found]) => found[0] !== undefined && found.every((name) => name === found[0]))
    .map(([model, found, text]) => [model, found[0], text]);
}

function headlines(folder) {
  const part = (file, label) =>
    readFileSync(`${folder}/${file}`, "utf8")
      .split(/\r?\n/)
      .filter((line) => line !== "" && createHash("sha256").update(line).digest().readUInt32BE(0) % 100 < 20)
      .map((line) => ["content", label, line]);
  return [...part("clickbait_data.txt", "clickbait"), ...part("non_clickbait_data.txt", "news")];
}

const sources = { clinc150: clinc, goemotions: emotions, clickbait: headlines };
const lines = [
  "# model, right label, text. Test rows of CLINC150 (Larson et al. 2019, CC BY 3.0), GoEmotions (Demszky et al. 2020,",
  "# CC BY 4.0) and Stop Clickbait (Chakraborty et al. 2016, MIT); see models/ATTRIBUTION.md.",
];
for (const [name, read] of Object.entries(sources)) {
  const folder = dataFolder(name);
  if (!folder) {
    console.log(`SKIPPED (no data): ${name}`);
    process.exit(0);
  }
  for (const row of spread(read(folder))) lines.push(row.join("\t"));
}
writeFileSync(at("tests/golden/infer_rows.tsv"), `${lines.join("\n")}\n`);
console.log(`wrote infer_rows.tsv, ${lines.length - 2} rows`);

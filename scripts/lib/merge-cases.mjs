// The mined merges of data set json-merges, and how a result is judged.

import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { at } from "./run.mjs";

/** Null where the data set is not here. Half A is for looking for rules, half B for holding the bar. */
export function loadCases() {
  const file = `${process.env.OAS_DATA ?? at("../shared/data")}/json-merges/cases.jsonl`;
  if (!existsSync(file)) return null;
  return readFileSync(file, "utf8")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line))
    .filter((one) => !one.oracle_noisy)
    .map((one) => ({ ...one, half: createHash("sha256").update(one.id).digest()[0] % 2 === 0 ? "A" : "B" }));
}

/** Canonical text; with `anyOrder` the order of array elements does not count. */
export function canonical(value, anyOrder) {
  if (Array.isArray(value)) {
    const items = value.map((item) => canonical(item, anyOrder));
    return `[${(anyOrder ? items.sort() : items).join(",")}]`;
  }
  if (value === null || typeof value !== "object") return JSON.stringify(value) ?? "nothing";
  const members = Object.keys(value).sort();
  return `{${members.map((key) => `${JSON.stringify(key)}:${canonical(value[key], anyOrder)}`).join(",")}}`;
}

/** Runs `oas merge --lines` over the cases; `flipped` swaps the sides. */
export function mergeAll(oas, cases, { policy, flipped = false, extra = [] }) {
  const input = cases
    .map(({ base, ours, theirs }) =>
      JSON.stringify({ base, ours: flipped ? theirs : ours, theirs: flipped ? ours : theirs }),
    )
    .join("\n");
  const argv = ["merge", "--lines", "--policy", policy, ...extra];
  const { status, stdout, stderr } = spawnSync(oas, argv, { input, encoding: "utf8", maxBuffer: 2 ** 30 });
  if (status !== 0 && status !== 2) throw new Error(`oas merge ended with ${status}: ${stderr}`);
  return stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
}

export function judge(one, { merged, waiting }) {
  const exact = !waiting && canonical(merged, false) === canonical(one.merged, false);
  const right = !waiting && canonical(merged, true) === canonical(one.merged, true);
  return { auto: !waiting, exact, right, wrong: !waiting && !right };
}

export const isWaiting = ({ records }) => records.some((record) => ["manual", "failed"].includes(record.class));

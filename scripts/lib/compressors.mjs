// The yardsticks of the codec claims: what other compressors make of the same batches of lines.

import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";

const sum = (numbers) => numbers.reduce((total, n) => total + n, 0);

/** `lines` in batches of `size`, each as bytes with a line break behind every line. */
export function batchesOf(lines, size) {
  const batches = [];
  for (let i = 0; i < lines.length; i += size) batches.push(Buffer.from(`${lines.slice(i, i + size).join("\n")}\n`));
  return batches;
}

const brotli = (bytes, quality) =>
  brotliCompressSync(bytes, {
    params: { [constants.BROTLI_PARAM_QUALITY]: quality, [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length },
  }).length;

export const gzipBytes = (batches) => sum(batches.map((bytes) => gzipSync(bytes, { level: 9 }).length));
export const brotliBytes = (batches) => sum(batches.map((bytes) => brotli(bytes, 11)));

/** MB/s of brotli 11 over some of the batches. */
export function brotliSpeed(batches) {
  const start = performance.now();
  for (const bytes of batches) brotli(bytes, 11);
  return sum(batches.map((bytes) => bytes.length)) / 1000 / (performance.now() - start);
}

/** zstd 19 with a dictionary trained on `training` lines; undefined where there is no `zstd` program. */
export function zstdBytes(batches, training, dictionaryBytes) {
  if (spawnSync("zstd", ["--version"]).status !== 0) return undefined;
  const folder = mkdtempSync(join(tmpdir(), "oas-zstd-"));
  try {
    for (const name of ["in", "train", "out"]) mkdirSync(join(folder, name));
    const names = batches.map((bytes, i) => {
      writeFileSync(join(folder, "in", `${i}`), bytes);
      return join(folder, "in", `${i}`);
    });
    training.forEach((line, i) => writeFileSync(join(folder, "train", `${i}`), line));
    const dictionary = join(folder, "dictionary");
    spawnSync("zstd", ["-q", "--train", "-r", join(folder, "train"), `--maxdict=${dictionaryBytes}`, "-o", dictionary]);
    const done = spawnSync("zstd", ["-q", "-19", "-D", dictionary, "--output-dir-flat", join(folder, "out"), ...names]);
    if (done.status !== 0) return undefined;
    const files = readdirSync(join(folder, "out")).map((name) => statSync(join(folder, "out", name)).size);
    // The dictionary's own bytes count once, as they would be sent.
    return { bytes: sum(files), dictionary: brotli(readFileSync(dictionary), 5) };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

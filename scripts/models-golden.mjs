#!/usr/bin/env node
// Writes tests/golden/infer_ngram_v1.bin: 1,000 texts and the buckets ngram-v1 must give for them.
//
// A second implementation, from the description in docs/models.md and Node's own Unicode data, so that a mistake in the
// C++ featuriser cannot confirm itself. File: u32 count; then per text u8 log2(buckets), u8 char_min, u8 char_max,
// varint size, bytes, varint count, varint gaps between ascending buckets.
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { simpleLower, UNICODE_VERSION } from "./models-unicode.mjs";

const target = fileURLToPath(new URL("../tests/golden/infer_ngram_v1.bin", import.meta.url));
const encoder = new TextEncoder();

const usage = `usage: scripts/models-golden.mjs [--check]

Writes tests/golden/infer_ngram_v1.bin (needs a Node with Unicode ${UNICODE_VERSION}).
  --check  write nothing, fail when the committed file differs`;

function fnv(bytes) {
  let hash = 0x811c9dc5;
  for (const byte of bytes) hash = Math.imul(hash ^ byte, 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

/** One U+FFFD for every byte that starts no valid sequence; TextDecoder joins some of them, so it is of no use here. */
function codePoints(bytes) {
  const out = [];
  for (let at = 0; at < bytes.length; ) {
    let size = 1;
    for (; size <= 4; size++) {
      const part = bytes.subarray(at, at + size);
      if (part.length < size) continue;
      try {
        const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(part);
        if ([...text].length !== 1) continue;
        out.push(text.codePointAt(0));
        break;
      } catch {
        // Not a whole code point at this size; a longer one may be.
      }
    }
    if (size > 4) out.push(0xfffd);
    at += size > 4 ? 1 : size;
  }
  return out;
}

function tokensOf(bytes) {
  const tokens = [];
  let open = false;
  for (const code of codePoints(bytes)) {
    const char = String.fromCodePoint(code);
    if (/^[\t-\r\u0085\p{Zs}\u2028\u2029]$/u.test(char)) {
      open = false;
    } else if (/^[\p{L}\p{M}\p{Nd}']$/u.test(char)) {
      const lower = String.fromCodePoint(simpleLower(code));
      if (open) tokens.at(-1).text += lower;
      else tokens.push({ text: lower, word: true });
      open = true;
    } else {
      tokens.push({ text: char, word: false });
      open = false;
    }
  }
  return tokens;
}

export function buckets(bytes, { log2, min, max }) {
  let end = Math.min(bytes.length, 10_000);
  if (bytes.length > 10_000) for (let i = 0; i < 3 && (bytes[end] & 0xc0) === 0x80; i++) end--;
  const found = new Set();
  const add = (kind, text) => found.add(fnv([kind, ...encoder.encode(text)]) & (2 ** log2 - 1));
  const tokens = tokensOf(bytes.subarray(0, end));
  tokens.forEach(({ text, word }, i) => {
    add(1, text);
    if (i > 0) add(15, `${tokens[i - 1].text} ${text}`);
    if (i === 0) add(16, text);
    if (i === tokens.length - 1) add(17, text);
    if (!word) return;
    const chars = [...`<${text}>`];
    for (let n = min; n <= max; n++) {
      for (let at = 0; at + n <= chars.length; at++) add(n, chars.slice(at, at + n).join(""));
    }
  });
  return [...found].sort((a, b) => a - b);
}

/** Deterministic texts: fixed hard ones, then mixtures drawn from scripts that stress every branch. */
function texts() {
  const fixed = [
    "",
    " ",
    "a",
    "'",
    "''",
    "don't stop",
    "Hello, World!",
    "ÀÉÎõü ŸΣΊΑΣ",
    "İstanbul IĞDIR ıi",
    "STRASSE straße ẞ",
    "ﬁne ﬂag",
    "e\u0301cole Ecole\u0301",
    "日本語のテキスト",
    "中文，标点。",
    "한국어 문장",
    "שלום עולם",
    "مرحبا بالعالم ١٢٣",
    "हिन्दी में",
    "ไทย",
    "👍🏽 👩‍👩‍👧‍👦 🇩🇪",
    "a\u200db a\u00adb",
    "\ufeffbom",
    "\u0000nul\u0000",
    "tab\tnew\nline\r\u0085\u2028\u2029\u3000end",
    "x".repeat(200),
    "…—–“”",
    "𝔘𝔫𝔦𝔠𝔬𝔡𝔢 𐐀𐐁 𞤀",
    "\ud800 lone \udfff",
    "1st 2nd 3.14 -5",
    "A".repeat(9_999) + "é tail",
    "word ".repeat(2_100),
    "é".repeat(5_001),
    "ab😀".repeat(1_700),
  ].map((text) => encoder.encode(text));
  const raw = [
    [0xff],
    [0xc3],
    [0xc3, 0x28],
    [0xe2, 0x82],
    [0xed, 0xa0, 0x80],
    [0xf0, 0x9f, 0x92],
    [0xf4, 0x90, 0x80, 0x80],
    [0xc0, 0x80],
    [0x61, 0x80, 0x62],
    [0xe0, 0x80, 0x80, 0x41],
  ];
  const out = [...fixed, ...raw.map((bytes) => Uint8Array.from(bytes))];
  let state = 2_463_534_242;
  const below = (bound) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % bound;
  };
  const ranges = [
    [0x20, 0x7e],
    [0x61, 0x7a],
    [0x41, 0x5a],
    [0xa0, 0x24f],
    [0x370, 0x52f],
    [0x5d0, 0x6ff],
    [0x900, 0xdff],
    [0x10a0, 0x13ff],
    [0x1c80, 0x1fff],
    [0x2000, 0x206f],
    [0x2c00, 0x2e5d],
    [0x3000, 0x30ff],
    [0xa640, 0xa7ff],
    [0xff00, 0xffef],
    [0x10400, 0x104ff],
    [0x1e900, 0x1e95f],
    [0x1f300, 0x1f64f],
    [0xe0100, 0xe01ef],
    [0, 0x10ffff],
  ];
  while (out.length < 1_000) {
    const [low, high] = ranges[below(ranges.length)];
    let text = "";
    for (let left = 1 + below(24); left > 0; left--)
      text += below(6) === 0 ? " " : String.fromCodePoint(low + below(high - low + 1));
    const bytes = encoder.encode(text);
    if (below(10) === 0 && bytes.length > 1) bytes[below(bytes.length)] = 0x80 + below(128);
    out.push(bytes);
  }
  return out;
}

export function golden() {
  const out = [];
  const varint = (value) => {
    for (; value >= 0x80; value = Math.floor(value / 128)) out.push((value % 128) | 0x80);
    out.push(value);
  };
  const all = texts();
  out.push(all.length & 255, all.length >> 8, 0, 0);
  const params = [
    { log2: 13, min: 3, max: 4 },
    { log2: 14, min: 3, max: 5 },
    { log2: 18, min: 2, max: 6 },
    { log2: 4, min: 3, max: 3 },
  ];
  all.forEach((bytes, i) => {
    const { log2, min, max } = params[i % params.length];
    out.push(log2, min, max);
    varint(bytes.length);
    for (const byte of bytes) out.push(byte);
    const list = buckets(bytes, params[i % params.length]);
    varint(list.length);
    list.forEach((bucket, k) => varint(bucket - (k > 0 ? list[k - 1] : 0)));
  });
  return Buffer.from(out);
}

function main(args) {
  if (args.includes("--help")) return console.log(usage);
  if (process.versions.unicode !== UNICODE_VERSION) return console.log(`SKIPPED (needs Unicode ${UNICODE_VERSION})`);
  const bytes = golden();
  if (args.includes("--check")) {
    if (readFileSync(target).equals(bytes)) return console.log("infer_ngram_v1.bin is up to date");
    console.error("infer_ngram_v1.bin differs from what this script writes");
    process.exitCode = 1;
    return;
  }
  writeFileSync(target, bytes);
  console.log(`wrote infer_ngram_v1.bin, ${bytes.length} bytes`);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) main(process.argv.slice(2));
